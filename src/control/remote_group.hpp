// A server that somebody else runs, as the configuration has it. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "control/fleet.hpp"
#include "control/model_view.hpp"
#include "engines/endpoint.hpp"
#include "engines/upstream_pool.hpp"
#include "upstreams/balancer.hpp"

namespace drover::control {

/// One entry of `models:` with `engine: remote`.
struct RemoteGroup {
    ModelView view;  ///< `name` is the entry's; `state` is filled in when asked
    RemoteTerms terms;
    bool lists = false;  ///< the entry stands for every model that the server lists
    std::vector<engines::Endpoint> replicas;
    engines::UpstreamPool::Limits connections;
    upstreams::BalancerOptions balancer;
    Duration probe_timeout{};
};

}  // namespace drover::control
