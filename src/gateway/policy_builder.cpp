#include "gateway/policy_builder.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "base/text.hpp"
#include "gateway/routes.hpp"
#include "platform/files.hpp"
#include "router/default_predictors.hpp"

namespace drover::gateway {

using router::Policy;
using router::Predictor;
using router::Target;

namespace {

constexpr Bytes kPredictorMax = 256_MiB;
constexpr Bytes kCalibrationMax = 1_MiB;

constexpr double kDefaultQuality = 0.98;

static_assert(config::kTaskLabelsMax == router::kHeadsMax);

Target target_of(Policy& policy, const std::string& name) {
    const auto found = std::find(policy.targets.begin(), policy.targets.end(), name);
    if (found != policy.targets.end()) {
        return static_cast<Target>(found - policy.targets.begin());
    }
    policy.targets.push_back(name);
    return static_cast<Target>(policy.targets.size() - 1);
}

std::vector<Target> targets_of(Policy& policy, const std::vector<std::string>& names) {
    std::vector<Target> targets;
    for (const std::string& name : names) {
        targets.push_back(target_of(policy, name));
    }
    return targets;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        text += (text.empty() ? "" : ", ") + word;
    }
    return text;
}

/// The model whose embeddings the predictor reads.
Result<router::Classifier> embedder_of(const config::ClassifierModel& model,
                                       const Predictor& predictor,
                                       double confidence) {
    if (!predictor.embedding().has_value()) {
        return Error{ErrorCode::invalid_argument,
                     model.where +
                         ": embedding: the predictor was not trained with any; make "
                         "one with `drover route train --embedding " +
                         model.model + "` and name it with `predictor`"};
    }
    return router::Classifier{.model = model.model,
                              .purpose = predictor.facts().purpose,
                              .labels = predictor.facts().labels,
                              .confidence = confidence,
                              .timeout = model.timeout,
                              .heads = &*predictor.embedding()};
}

Result<router::Classifier> classifier_of(const config::ClassifierModel& model,
                                         router::Purpose purpose,
                                         std::vector<std::string> labels) {
    router::Classifier classifier{.model = model.model,
                                  .purpose = purpose,
                                  .labels = std::move(labels),
                                  .confidence = model.confidence,
                                  .timeout = model.timeout,
                                  .prompt_max = model.prompt};
    const std::vector<std::string>& known = classifier.labels;
    if (known.size() > config::kTaskLabelsMax) {
        return Error{ErrorCode::invalid_argument,
                     "there are " + std::to_string(known.size()) +
                         " labels, with those of the predictor; a classifier tells at most " +
                         std::to_string(config::kTaskLabelsMax) + " apart"};
    }
    classifier.meanings.resize(known.size());
    for (const auto& [label, meaning] : model.meanings) {
        const auto found = std::find(known.begin(), known.end(), label);
        if (found == known.end()) {
            return Error{ErrorCode::invalid_argument,
                         "classifier.labels." + label + " is none of the labels " + joined(known)};
        }
        classifier.meanings[static_cast<std::size_t>(found - known.begin())] = meaning;
    }
    return classifier;
}

/// The score from which the large model answers.
double threshold_of(const config::ComplexityStage& stage,
                    std::span<const router::FrontierPoint> frontier) {
    return stage.threshold.has_value() ? *stage.threshold
           : stage.budget.has_value()
               ? router::threshold_for_budget(frontier, *stage.budget)
               : router::threshold_for_quality(frontier, stage.quality.value_or(kDefaultQuality));
}

}  // namespace

/// A predictor of the user's, with its bytes.
struct PolicyBuilder::PredictorFile {
    std::filesystem::path path;
    std::string image;
    Predictor predictor;
};

PolicyBuilder::PolicyBuilder() = default;
PolicyBuilder::~PolicyBuilder() = default;

Result<const Predictor*> PolicyBuilder::predictor_of(const std::filesystem::path& file,
                                                     router::Purpose purpose) {
    if (file.empty()) {
        return purpose == router::Purpose::task ? &router::default_task_predictor()
                                                : &router::default_complexity_predictor();
    }
    auto known = std::find_if(
        files_.begin(), files_.end(), [&](const auto& one) { return one->path == file; });
    if (known == files_.end()) {
        auto image = platform::read_file(file, kPredictorMax);
        if (!image.ok()) {
            return image.error().with(file.string());
        }
        auto holder = std::make_unique<PredictorFile>(PredictorFile{file, std::move(*image), {}});
        auto predictor = Predictor::open(holder->image);
        if (!predictor.ok()) {
            return predictor.error().with(file.string());
        }
        holder->predictor = *std::move(predictor);
        known = files_.insert(files_.end(), std::move(holder));
    }
    const Predictor& predictor = (*known)->predictor;
    if (predictor.facts().purpose != purpose) {
        return Error{ErrorCode::invalid_argument,
                     file.string() + " predicts " +
                         std::string(to_string(predictor.facts().purpose)) + ", not " +
                         std::string(to_string(purpose))};
    }
    return &predictor;
}

Result<Policy> PolicyBuilder::build(const config::RouteEntry& entry) {
    Policy policy;
    DROVER_TRY(add_rules(entry, policy));
    if (entry.task.has_value()) {
        DROVER_TRY(add_task(*entry.task, policy));
    }
    if (entry.complexity.has_value()) {
        DROVER_TRY(add_complexity(*entry.complexity, policy));
    }
    if (entry.cascade.has_value()) {
        DROVER_TRY(add_cascade(*entry.cascade, policy));
    }
    policy.fallback = targets_of(policy, entry.fallback);
    return policy;
}

Status PolicyBuilder::add_rules(const config::RouteEntry& entry, Policy& policy) {
    for (const config::RouteRule& rule : entry.rules) {
        router::PolicyRule made{.endpoints = rule.endpoints,
                                .tools = rule.tools,
                                .images = rule.images,
                                .longer_than = rule.longer_than,
                                .shorter_than = rule.shorter_than,
                                .contains = to_lower(rule.contains),
                                .languages = rule.languages,
                                .use = targets_of(policy, rule.use)};
        for (const std::string& endpoint : rule.endpoints) {
            const Route* route = find_route(endpoint, Method::post);
            const bool names_model = route != nullptr && (route->model_from == ModelFrom::json ||
                                                          route->model_from == ModelFrom::form);
            if (endpoint.starts_with('/') && !names_model) {
                return Error{ErrorCode::invalid_argument,
                             "rules.endpoint '" + endpoint +
                                 "' is no endpoint that names its model in its body"};
            }
        }
        if (!rule.matches.empty()) {
            const auto pattern = Pattern::compile(rule.matches);
            if (!pattern.ok()) {
                return pattern.error().with("rules.matches");
            }
            made.matches = *pattern;
        }
        for (const auto& [name, value] : rule.headers) {
            const auto pattern = Pattern::compile(value);
            if (!pattern.ok()) {
                return pattern.error().with("rules.headers." + name);
            }
            made.headers.emplace_back(name, *pattern);
            if (std::find(headers_.begin(), headers_.end(), name) == headers_.end()) {
                headers_.push_back(name);
            }
        }
        policy.rules.push_back(std::move(made));
    }
    return {};
}

Status PolicyBuilder::add_task(const config::TaskStage& stage, Policy& policy) {
    const auto predictor = predictor_of(stage.predictor, router::Purpose::task);
    if (!predictor.ok()) {
        return predictor.error();
    }
    router::PolicyTask task{.predictor = *predictor, .confidence = stage.confidence};
    std::vector<std::string> labels = (*predictor)->facts().labels;
    const bool any_label = stage.classifier.has_value() && !stage.classifier->embeds;
    for (const auto& [label, models] : stage.models) {
        auto found = std::find(labels.begin(), labels.end(), label);
        if (found == labels.end() && any_label) {
            found = labels.insert(labels.end(), label);  // a model knows any label
        }
        if (found == labels.end()) {
            return Error{
                ErrorCode::invalid_argument,
                "task." + label + " is not a label of the predictor; it knows " + joined(labels)};
        }
        task.models.emplace_back(static_cast<std::uint32_t>(found - labels.begin()),
                                 targets_of(policy, models));
    }
    if (stage.classifier.has_value()) {
        auto classifier =
            any_label ? classifier_of(*stage.classifier, router::Purpose::task, std::move(labels))
                      : embedder_of(*stage.classifier, **predictor, stage.confidence);
        if (!classifier.ok()) {
            return classifier.error().with("task");
        }
        task.classifier = std::move(*classifier);
    }
    policy.task = std::move(task);
    return {};
}

Status PolicyBuilder::add_complexity(const config::ComplexityStage& stage, Policy& policy) {
    const auto predictor = predictor_of(stage.predictor, router::Purpose::complexity);
    if (!predictor.ok()) {
        return predictor.error();
    }
    policy.complexity =
        router::PolicyComplexity{.predictor = *predictor,
                                 .small = target_of(policy, stage.small),
                                 .large = target_of(policy, stage.large),
                                 .threshold = threshold_of(stage, (*predictor)->facts().frontier),
                                 .by_budget = stage.budget.has_value()};
    if (const auto& heads = (*predictor)->embedding(); heads.has_value()) {
        policy.complexity->sum_threshold = threshold_of(stage, heads->facts().frontier);
    }
    if (stage.classifier.has_value()) {
        auto classifier = stage.classifier->embeds
                              ? embedder_of(*stage.classifier, **predictor, 0)
                              : classifier_of(*stage.classifier,
                                              router::Purpose::complexity,
                                              {router::kComplexityLabels.begin(),
                                               router::kComplexityLabels.end()});
        if (!classifier.ok()) {
            return classifier.error().with("complexity");
        }
        policy.complexity->classifier = std::move(*classifier);
    }
    return {};
}

Status PolicyBuilder::add_cascade(const config::CascadeStage& stage, Policy& policy) {
    router::PolicyCascade cascade{
        .models = targets_of(policy, stage.models),
        .demands = {.confidence = stage.confidence, .tokens = stage.hold}};
    if (!stage.calibration.empty()) {
        const auto text = platform::read_file(stage.calibration, kCalibrationMax);
        if (!text.ok()) {
            return text.error().with("cascade.calibration");
        }
        auto calibration = router::parse_calibration(*text);
        if (!calibration.ok()) {
            return calibration.error().with("cascade.calibration: " + stage.calibration.string());
        }
        cascade.demands.calibration = &calibrations_.emplace_back(*std::move(calibration));
    }
    policy.cascade = std::move(cascade);
    return {};
}

}  // namespace drover::gateway
