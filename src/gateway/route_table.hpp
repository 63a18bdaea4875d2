// The routes of the configuration, ready to decide: names that stand for a choice of model. On the
// loop only.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/routes.hpp"
#include "control/fleet.hpp"
#include "gateway/classifier_circuits.hpp"
#include "router/policy.hpp"
#include "router/recent_table.hpp"

namespace drover::gateway {

/// What an endpoint needs of a model.
enum class Need {
    generation,
    embedding,
    rerank
};

/// What the endpoint at `path` needs.
Need need_of(std::string_view path);

/// Which of config::kEndpointKinds the endpoint at `path` is.
std::string_view endpoint_kind(std::string_view path);

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
    ~RouteTable();

    /// Reads the predictors. Errors name the route and the file. Call once, before anything else.
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
    const std::vector<std::string>& headers() const { return headers_; }

    /// Routes whose targets or classifiers are not there, or whose model embeds in another size
    /// than its predictor was trained with, in words.
    std::vector<std::string> missing_targets(const control::Fleet& fleet) const;

    /// Which classifiers are left alone because they take too long.
    ClassifierCircuits& circuits() { return circuits_; }

    /// The routes as entries of a list of models.
    std::vector<control::ModelView> views() const;

  private:
    struct PredictorFile;

    Result<const router::Predictor*> predictor_of(const std::filesystem::path& file,
                                                  router::Purpose purpose);
    Result<router::Policy> policy_of(const config::RouteEntry& entry);
    Status add_rules(const config::RouteEntry& entry, router::Policy& policy);
    Status add_task(const config::TaskStage& stage, router::Policy& policy);
    Status add_cascade(const config::CascadeStage& stage, router::Policy& policy);
    Status add_complexity(const config::ComplexityStage& stage, router::Policy& policy);

    std::vector<config::RouteEntry> entries_;
    std::vector<std::unique_ptr<PredictorFile>> files_;
    std::list<router::Calibration> calibrations_;
    std::list<NamedRoute> routes_;
    std::vector<std::string> headers_;
    std::vector<router::Featurizer> featurizers_;
    router::RecentTable<router::Earlier> conversations_;
    router::RecentTable<router::Prediction> classifications_;
    ClassifierCircuits circuits_;
};

}  // namespace drover::gateway
