// A decision of a route in JSON, for people and for the log. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>

#include "gateway/route_table.hpp"
#include "router/classifier.hpp"
#include "router/facts.hpp"

namespace drover::gateway {

/// The answer to POST /v1/route, but for the time that the decision took.
boost::json::object explanation_of(const NamedRoute& route,
                                   const router::RequestFacts& facts,
                                   const Choice& choice);

/// What came of asking a classifier: {"model", "answered", "cached", "ms", "failure"}.
boost::json::object classification_of(const router::Classifier& classifier,
                                      const router::Classification& said);

}  // namespace drover::gateway
