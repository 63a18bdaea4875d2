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
                     "the predictor was not trained with any; make one with `drover route train "
                     "--embedding " +
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
                         "'" + label + "' is none of the labels " + joined(known)};
        }
        classifier.meanings[static_cast<std::size_t>(found - known.begin())] = meaning;
    }
    return classifier;
}

Result<router::Calibration> calibration_of(const std::filesystem::path& file) {
    const auto text = platform::read_file(file, kCalibrationMax);
    if (!text.ok()) {
        return text.error();
    }
    auto calibration = router::parse_calibration(*text);
    return calibration.ok() ? std::move(calibration) : calibration.error().with(file.string());
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
            return image.error();
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

void PolicyBuilder::problem(const std::string& where,
                            const std::string& path,
                            const std::string& what) {
    problems_.push_back({where, route_ + path, what});
}

Policy PolicyBuilder::build(const config::RouteEntry& entry) {
    route_ = "routes." + entry.name + ".";
    Policy policy;
    for (const config::RouteRule& rule : entry.rules) {
        add_rule(rule, policy);
    }
    if (entry.task.has_value()) {
        add_task(*entry.task, policy);
    }
    if (entry.complexity.has_value()) {
        add_complexity(*entry.complexity, policy);
    }
    if (entry.cascade.has_value()) {
        add_cascade(*entry.cascade, policy);
    }
    policy.fallback = targets_of(policy, entry.fallback);
    return policy;
}

std::optional<router::Classifier> PolicyBuilder::classifier_or_problem(
    Result<router::Classifier> classifier,
    const config::ClassifierModel& model,
    const std::string& stage) {
    if (!classifier.ok()) {
        problem(model.where,
                stage + (model.embeds ? ".embedding" : ".classifier"),
                classifier.error().message);
        return std::nullopt;
    }
    return *std::move(classifier);
}

std::optional<Pattern> PolicyBuilder::pattern_of(const std::string& text,
                                                 const std::string& where,
                                                 const std::string& path) {
    const auto pattern = Pattern::compile(text);
    if (!pattern.ok()) {
        problem(where, path, pattern.error().message);
        return std::nullopt;
    }
    return *pattern;
}

void PolicyBuilder::add_rule(const config::RouteRule& rule, Policy& policy) {
    router::PolicyRule made{.endpoints = rule.endpoints,
                            .tools = rule.tools,
                            .images = rule.images,
                            .longer_than = rule.longer_than,
                            .shorter_than = rule.shorter_than,
                            .contains = to_lower(rule.contains),
                            .languages = rule.languages,
                            .use = targets_of(policy, rule.use),
                            .text = rule.text};
    for (const std::string& endpoint : rule.endpoints) {
        if (endpoint.starts_with('/') && !can_be_routed(endpoint)) {
            problem(rule.where,
                    "rules.endpoint",
                    "'" + endpoint + "' is no endpoint that names its model in its body");
        }
    }
    if (!rule.matches.empty()) {
        made.matches = pattern_of(rule.matches, rule.where, "rules.matches");
    }
    for (const auto& [name, value] : rule.headers) {
        if (auto pattern = pattern_of(value, rule.where, "rules.headers." + name)) {
            made.headers.emplace_back(name, *std::move(pattern));
        }
        if (std::find(headers_.begin(), headers_.end(), name) == headers_.end()) {
            headers_.push_back(name);
        }
    }
    policy.rules.push_back(std::move(made));
}

void PolicyBuilder::add_task(const config::TaskStage& stage, Policy& policy) {
    const auto predictor = predictor_of(stage.predictor, router::Purpose::task);
    if (!predictor.ok()) {
        return problem(stage.where, "task.predictor", predictor.error().message);
    }
    router::PolicyTask task{.predictor = *predictor, .confidence = stage.confidence};
    std::vector<std::string> labels = (*predictor)->facts().labels;
    const bool any_label = stage.classifier.has_value() && !stage.classifier->embeds;
    for (const config::TaskModels& one : stage.models) {
        auto found = std::find(labels.begin(), labels.end(), one.label);
        if (found == labels.end() && any_label) {
            found = labels.insert(labels.end(), one.label);  // a model knows any label
        }
        if (found == labels.end()) {
            problem(one.where,
                    "task." + one.label,
                    "is not a label of the predictor; it knows " + joined(labels));
            continue;
        }
        task.models.emplace_back(static_cast<std::uint32_t>(found - labels.begin()),
                                 targets_of(policy, one.models));
    }
    if (stage.classifier.has_value()) {
        auto classifier =
            any_label ? classifier_of(*stage.classifier, router::Purpose::task, std::move(labels))
                      : embedder_of(*stage.classifier, **predictor, stage.confidence);
        task.classifier = classifier_or_problem(std::move(classifier), *stage.classifier, "task");
    }
    policy.task = std::move(task);
}

void PolicyBuilder::add_complexity(const config::ComplexityStage& stage, Policy& policy) {
    const auto predictor = predictor_of(stage.predictor, router::Purpose::complexity);
    if (!predictor.ok()) {
        return problem(stage.where, "complexity.predictor", predictor.error().message);
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
        policy.complexity->classifier =
            classifier_or_problem(std::move(classifier), *stage.classifier, "complexity");
    }
}

void PolicyBuilder::add_cascade(const config::CascadeStage& stage, Policy& policy) {
    router::PolicyCascade cascade{
        .models = targets_of(policy, stage.models),
        .demands = {.confidence = stage.confidence, .tokens = stage.hold}};
    if (!stage.calibration.empty()) {
        auto calibration = calibration_of(stage.calibration);
        if (!calibration.ok()) {
            return problem(stage.where, "cascade.calibration", calibration.error().message);
        }
        cascade.demands.calibration = &calibrations_.emplace_back(*std::move(calibration));
    }
    policy.cascade = std::move(cascade);
}

std::vector<config::Problem> check_routes(const std::vector<config::RouteEntry>& routes) {
    PolicyBuilder builder;
    for (const config::RouteEntry& entry : routes) {
        builder.build(entry);
    }
    return builder.problems();
}

}  // namespace drover::gateway
