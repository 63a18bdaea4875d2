// What the targets of a route could do for a request at this moment. On the loop only.
#pragma once

#include <string>
#include <vector>

#include "base/ids.hpp"
#include "control/fleet.hpp"
#include "gateway/need.hpp"
#include "router/policy.hpp"

namespace drover::gateway {

/// For each target of a policy, in its order.
struct TargetsNow {
    std::vector<const control::ModelView*> models;  ///< null: not there, or of no use
    std::vector<ModelId> ids;                       ///< of those that are there
    std::vector<router::TargetState> states;
};

/// Which of the models with these `names` can do what the request needs, and how soon; of a request
/// that is `local_only` among those of this machine. What only some can do, the others are not
/// asked for. The views are the fleet's, and valid until it changes.
TargetsNow look_at_targets(const std::vector<std::string>& names,
                           const router::RequestFacts& facts,
                           Need need,
                           const control::Fleet& fleet,
                           bool local_only);

/// Of the models with these `names`: those in memory that nobody uses or waits for.
std::vector<ModelId> idle_targets(const std::vector<std::string>& names,
                                  const control::Fleet& fleet);

}  // namespace drover::gateway
