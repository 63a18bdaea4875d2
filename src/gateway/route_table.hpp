// The routes of the configuration, ready to decide: names that stand for a choice of model. On the
// loop only.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/routes.hpp"
#include "control/fleet.hpp"
#include "gateway/classifier_circuits.hpp"
#include "gateway/need.hpp"
#include "gateway/policy_builder.hpp"
#include "router/policy.hpp"
#include "router/recent_table.hpp"

namespace drover::gateway {

/// One route.
struct NamedRoute {
    std::string name;
    bool affinity = true;
    router::Policy policy;
    bool local_only = false;                   ///< its requests never go to a remote model
    std::chrono::milliseconds cascade_wait{};  ///< longest until a cascade's verdict
};

/// A decision with the models that it means, in the order in which they are to be tried.
struct Choice {
    std::vector<router::Target> targets;
    std::vector<ModelId> models;
    router::Decision decision;
    std::vector<router::TargetState> states;  ///< of all targets of the policy
};

class RouteTable {
  public:
    explicit RouteTable(std::vector<config::RouteEntry> entries);

    /// Reads the predictors. The error is the first problem; check_routes() tells all of them. Call
    /// once, before anything else.
    Status open();

    /// The route with this name, whatever its case and with or without ":latest"; null: none.
    const NamedRoute* find(std::string_view name) const;

    /// Chooses, of a request that is `local_only` among the models of this machine. The order is
    /// empty when no target can do what is needed, or a classifier must be asked before; `asked` is
    /// what they said so far.
    Choice decide(const NamedRoute& route,
                  const router::RequestFacts& facts,
                  Need need,
                  const control::Fleet& fleet,
                  bool local_only,
                  const router::Classifications& asked);

    /// What the classifier said of this text before, if it is known.
    std::optional<router::Prediction> recall(const NamedRoute& route,
                                             const router::Classifier& classifier,
                                             std::string_view text);

    /// It said this.
    void keep(const NamedRoute& route,
              const router::Classifier& classifier,
              std::string_view text,
              const router::Prediction& prediction);

    /// The conversation had its answer from `target`.
    void remember(const NamedRoute& route,
                  const router::RequestFacts& facts,
                  router::Target target,
                  const router::Decision& decision);

    /// The headers, in lower case, that rules look at.
    const std::vector<std::string>& headers() const { return builder_.headers(); }

    /// Routes whose targets or classifiers are not there, or whose model embeds in another size
    /// than its predictor was trained with, in words.
    std::vector<std::string> missing_targets(const control::Fleet& fleet) const;

    /// Which classifiers are left alone because they take too long.
    ClassifierCircuits& circuits() { return circuits_; }

    /// The route as an entry of a list of models: it can do what all of its targets can, and takes
    /// what the one with the longest context does.
    static control::ModelView view(const NamedRoute& route, const control::Fleet& fleet);

    /// All routes as such entries.
    std::vector<control::ModelView> views(const control::Fleet& fleet) const;

  private:
    std::vector<config::RouteEntry> entries_;
    PolicyBuilder builder_;  ///< has what the policies point to
    std::list<NamedRoute> routes_;
    std::vector<router::Featurizer> featurizers_;
    router::RecentTable<router::Earlier> conversations_;
    router::RecentTable<router::Prediction> classifications_;
    ClassifierCircuits circuits_;
};

}  // namespace drover::gateway
