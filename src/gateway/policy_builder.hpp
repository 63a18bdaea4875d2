// From a route's configuration to the policy that decides. Used once, at the start; reads files.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/pattern.hpp"
#include "base/result.hpp"
#include "config/load.hpp"
#include "config/routes.hpp"
#include "router/policy.hpp"

namespace drover::gateway {

/// Makes policies, and owns what they point to: it must outlive them.
class PolicyBuilder {
  public:
    PolicyBuilder();
    ~PolicyBuilder();

    /// The policy of `entry`, with its predictors and calibrations read. What is wrong is among
    /// problems(), and not in the policy.
    router::Policy build(const config::RouteEntry& entry);

    /// What was wrong with all policies so far, each with its place.
    const std::vector<config::Problem>& problems() const { return problems_; }

    /// The headers, in lower case, that the rules of all policies so far look at.
    const std::vector<std::string>& headers() const { return headers_; }

  private:
    struct PredictorFile;

    Result<const router::Predictor*> predictor_of(const std::filesystem::path& file,
                                                  router::Purpose purpose);
    void add_rule(const config::RouteRule& rule, router::Policy& policy);
    void add_task(const config::TaskStage& stage, router::Policy& policy);
    void add_complexity(const config::ComplexityStage& stage, router::Policy& policy);
    void add_cascade(const config::CascadeStage& stage, router::Policy& policy);
    std::optional<Pattern> pattern_of(const std::string& text,
                                      const std::string& where,
                                      const std::string& path);

    std::optional<router::Classifier> classifier_or_problem(Result<router::Classifier> classifier,
                                                            const config::ClassifierModel& model,
                                                            const std::string& stage);

    /// `path` begins below the route.
    void problem(const std::string& where, const std::string& path, const std::string& what);

    std::string route_;  ///< path of the one that is being built: "routes.auto."
    std::vector<config::Problem> problems_;
    std::vector<std::unique_ptr<PredictorFile>> files_;
    std::list<router::Calibration> calibrations_;
    std::vector<std::string> headers_;
};

/// What is wrong with routes that only shows when their files are read.
std::vector<config::Problem> check_routes(const std::vector<config::RouteEntry>& routes);

}  // namespace drover::gateway
