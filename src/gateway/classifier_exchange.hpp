// Asks the model that is the classifier of a route. On the loop only.
#pragma once

#include <string_view>

#include "control/fleet.hpp"
#include "gateway/request.hpp"
#include "gateway/turn.hpp"
#include "platform/async.hpp"
#include "router/classifier.hpp"

namespace drover::gateway {

/// What is asked on behalf of which request.
struct ClassifierQuestion {
    const RequestHead& head;
    const router::Classifier& classifier;
    std::string_view text;  ///< the user's; outlives the exchange, as the others do
    bool local_only = false;
};

/// Asks with a `turn` that holds no lease, and gives up after the classifier's timeout, the wait
/// for its load included. One that embeds is asked only where it is in memory and has room. Nothing
/// is written to the client; whatever goes wrong is in the result. The turn can be aborted
/// meanwhile.
platform::Task<router::Classification> ask_classifier(control::Fleet& fleet,
                                                      Turn& turn,
                                                      ClassifierQuestion question);

}  // namespace drover::gateway
