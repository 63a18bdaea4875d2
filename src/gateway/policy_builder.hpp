// From a route's configuration to the policy that decides. Used once, at the start; reads files.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/routes.hpp"
#include "router/policy.hpp"

namespace drover::gateway {

/// Makes policies, and owns what they point to: it must outlive them.
class PolicyBuilder {
  public:
    PolicyBuilder();
    ~PolicyBuilder();

    /// The policy of `entry`, with its predictors and calibrations read. Errors name the stage and
    /// the file.
    Result<router::Policy> build(const config::RouteEntry& entry);

    /// The headers, in lower case, that the rules of all policies so far look at.
    const std::vector<std::string>& headers() const { return headers_; }

  private:
    struct PredictorFile;

    Result<const router::Predictor*> predictor_of(const std::filesystem::path& file,
                                                  router::Purpose purpose);
    Status add_rules(const config::RouteEntry& entry, router::Policy& policy);
    Status add_task(const config::TaskStage& stage, router::Policy& policy);
    Status add_complexity(const config::ComplexityStage& stage, router::Policy& policy);
    Status add_cascade(const config::CascadeStage& stage, router::Policy& policy);

    std::vector<std::unique_ptr<PredictorFile>> files_;
    std::list<router::Calibration> calibrations_;
    std::vector<std::string> headers_;
};

}  // namespace drover::gateway
