#include "gateway/route_table.hpp"

#include <algorithm>
#include <limits>
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

/// Conversations whose model is remembered.
constexpr std::size_t kConversationsMax = 4096;
/// Prompts that a classifier is not asked about again.
constexpr std::size_t kClassificationsMax = 4096;

constexpr Bytes kPredictorMax = 256_MiB;
constexpr Bytes kCalibrationMax = 1_MiB;

/// A cautious guess: a model that is asked for more text than this cannot take it.
constexpr std::uint64_t kBytesPerTokenMax = 6;

/// What bringing a model into memory takes: the start of its process, and reading its file.
constexpr std::uint32_t kStartMs = 300;
constexpr std::int64_t kReadPerMs = (1 << 30) / 1000;
/// What each request that waits for a model adds.
constexpr std::uint32_t kQueuedMs = 1000;
/// What each request adds that is computed together with others: every step takes longer.
constexpr std::uint32_t kRunningMs = 10;
/// A cache that is fuller has no room for another request before one of those in it ends.
constexpr double kCacheFull = 0.95;
/// What a request to a server waits whose circuit is open: any model that has to be loaded is
/// quicker.
constexpr std::uint32_t kServerDownMs = 60'000;

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

bool has(const control::ModelView& model, std::string_view capability) {
    return std::find(model.capabilities.begin(), model.capabilities.end(), capability) !=
           model.capabilities.end();
}

bool does(const control::ModelView& model, Need need) {
    switch (need) {
        case Need::generation:
            return model.task == "generate";
        case Need::embedding:
            return model.task == "embedding";
        case Need::rerank:
            return model.task == "rerank";
    }
    return false;
}

/// Whether a text of so many bytes may fit; of a remote nobody may know.
bool holds(const control::ModelView& model, std::uint64_t bytes) {
    return model.context == 0 || bytes / kBytesPerTokenMax <= model.context;
}

std::uint32_t load_ms(const control::ModelView& model) {
    return kStartMs + static_cast<std::uint32_t>(
                          std::min<std::int64_t>(model.size.count() / kReadPerMs, 3'600'000));
}

/// Until an instance that is there can serve. One that sleeps wakes up sooner than it loads.
std::uint32_t rest_ms(const control::InstanceView& instance, const control::ModelView& model) {
    constexpr std::uint32_t kWakeShare = 5;  // before one has been seen
    if (instance.state == "ready") {
        return 0;
    }
    if (instance.state != "asleep") {
        return load_ms(model);
    }
    return instance.woke_ms > 0 ? static_cast<std::uint32_t>(instance.woke_ms)
                                : load_ms(model) / kWakeShare;
}

/// What a request waits for in an engine that batches, and makes those wait that find no room.
std::uint32_t batch_ms(const control::InstanceView& instance) {
    if (!instance.load.has_value()) {
        return 0;
    }
    // What it said is a moment old: it has no more requests than leases.
    const std::uint32_t waiting = std::min(instance.load->waiting, instance.leases);
    const std::uint32_t running = std::min(instance.load->running, instance.leases - waiting);
    const bool full = running > 0 && instance.load->cache_used >= kCacheFull;
    return (waiting + (full ? 1 : 0)) * kQueuedMs + running * kRunningMs;
}

/// A conversation in one route is another one in the next.
std::uint64_t key_of(const NamedRoute& route, const router::RequestFacts& facts) {
    return facts.conversation ^ router::fnv64(route.name);
}

std::uint64_t key_of(const NamedRoute& route,
                     const router::Classifier& classifier,
                     std::string_view text) {
    const std::string question =
        route.name + "\n" + std::string(to_string(classifier.purpose)) + "\n";
    return router::fnv64(question + std::string(text));
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

/// The classifiers of a policy that embed.
std::vector<const router::Classifier*> embedders_of(const Policy& policy) {
    std::vector<const router::Classifier*> found;
    if (policy.task.has_value() && policy.task->classifier.has_value()) {
        found.push_back(&*policy.task->classifier);
    }
    if (policy.complexity.has_value() && policy.complexity->classifier.has_value()) {
        found.push_back(&*policy.complexity->classifier);
    }
    std::erase_if(found, [](const router::Classifier* one) { return !one->embeds(); });
    return found;
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
struct RouteTable::PredictorFile {
    std::filesystem::path path;
    std::string image;
    Predictor predictor;
};

Need need_of(std::string_view path) {
    return path.find("embed") != std::string_view::npos    ? Need::embedding
           : path.find("rerank") != std::string_view::npos ? Need::rerank
           : path.ends_with("/score")                      ? Need::rerank
                                                           : Need::generation;
}

std::string_view endpoint_kind(std::string_view path) {
    const auto has = [path](std::string_view part) {
        return path.find(part) != std::string_view::npos;
    };
    if (has("tokenize") || has("input_tokens") || has("count_tokens") || has("template")) {
        return "other";
    }
    return has("embed")                                              ? "embedding"
           : has("rerank")                                           ? "rerank"
           : has("chat") || has("/messages") || has("/responses")    ? "chat"
           : has("completion") || has("/generate") || has("/infill") ? "completion"
                                                                     : "other";
}

RouteTable::RouteTable(std::vector<config::RouteEntry> entries)
    : entries_(std::move(entries)),
      conversations_(kConversationsMax),
      classifications_(kClassificationsMax) {}

RouteTable::~RouteTable() = default;

Status RouteTable::open() {
    for (const config::RouteEntry& entry : entries_) {
        auto policy = policy_of(entry);
        if (!policy.ok()) {
            return policy.error().with(entry.where + ": routes." + entry.name);
        }
        routes_.push_back({.name = entry.name,
                           .affinity = entry.affinity,
                           .policy = std::move(*policy),
                           .local_only = entry.local_only,
                           .cascade_wait = entry.cascade.has_value()
                                               ? entry.cascade->wait
                                               : std::chrono::milliseconds(0)});
    }
    return {};
}

Result<const Predictor*> RouteTable::predictor_of(const std::filesystem::path& file,
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

Result<Policy> RouteTable::policy_of(const config::RouteEntry& entry) {
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

Status RouteTable::add_rules(const config::RouteEntry& entry, Policy& policy) {
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
            if (endpoint.starts_with('/') &&
                (route == nullptr || route->model_from != ModelFrom::json)) {
                return Error{ErrorCode::invalid_argument,
                             "rules.endpoint '" + endpoint +
                                 "' is no endpoint that names its model in a JSON body"};
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

Status RouteTable::add_task(const config::TaskStage& stage, Policy& policy) {
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

Status RouteTable::add_complexity(const config::ComplexityStage& stage, Policy& policy) {
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

Status RouteTable::add_cascade(const config::CascadeStage& stage, Policy& policy) {
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

const NamedRoute* RouteTable::find(std::string_view name) const {
    constexpr std::string_view kLatest = ":latest";
    if (name.ends_with(kLatest)) {
        name.remove_suffix(kLatest.size());
    }
    const auto found = std::find_if(routes_.begin(), routes_.end(), [&](const NamedRoute& one) {
        return equals_ignoring_case(one.name, name);
    });
    return found == routes_.end() ? nullptr : &*found;
}

Choice RouteTable::decide(const NamedRoute& route,
                          const router::RequestFacts& facts,
                          Need need,
                          const control::Fleet& fleet,
                          bool local_only,
                          const router::Classifications& asked) {
    const std::vector<std::string>& names = route.policy.targets;
    const control::FleetView view = fleet.view();
    std::vector<const control::ModelView*> models(names.size());
    std::vector<ModelId> ids(names.size());
    std::vector<std::size_t> too_short;  // by a cautious guess
    std::uint64_t longest = 0;
    Choice choice;
    choice.states.resize(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto id = fleet.find(names[i]);
        const control::ModelView* model = id.ok() ? fleet.look(*id) : nullptr;
        if (model == nullptr || !does(*model, need) || (local_only && !model->servers.empty())) {
            continue;
        }
        longest = model->context == 0 ? UINT64_MAX : std::max(longest, model->context);
        if (!holds(*model, facts.bytes)) {
            too_short.push_back(i);
        }
        models[i] = model;
        ids[i] = *id;
        if (!model->servers.empty()) {
            const bool works = model->state == "remote";
            choice.states[i] = {
                .usable = true, .hot = works, .expected_ms = works ? 0 : kServerDownMs};
            continue;
        }
        const auto instance = std::find_if(
            view.instances.begin(), view.instances.end(), [&](const control::InstanceView& one) {
                return one.model == model->name;
            });
        const bool there = instance != view.instances.end();
        const bool hot = there && instance->state == "ready";
        const std::uint32_t expected =
            !there
                ? load_ms(*model)
                : rest_ms(*instance, *model) + instance->queued * kQueuedMs + batch_ms(*instance);
        choice.states[i] = {.usable = true, .hot = hot, .expected_ms = expected};
    }
    // Where the guess leaves nobody, those with the longest context may say for themselves.
    for (const std::size_t i : too_short) {
        choice.states[i].usable =
            models[i]->context == longest && facts.bytes / kBytesPerTokenMax > longest;
    }
    // What only some targets can do, the others are not asked for.
    for (const auto& [wanted, capability] :
         {std::pair(facts.images, "vision"), std::pair(facts.tools, "tools")}) {
        const auto able = [&](const control::ModelView* model) {
            return model != nullptr && has(*model, capability);
        };
        if (wanted && std::any_of(models.begin(), models.end(), able)) {
            for (std::size_t i = 0; i < models.size(); ++i) {
                choice.states[i].usable = choice.states[i].usable && able(models[i]);
            }
        }
    }
    const bool continues = route.affinity && facts.messages > 1 && need == Need::generation;
    choice.decision =
        router::decide(route.policy,
                       facts,
                       choice.states,
                       continues ? conversations_.find(key_of(route, facts)) : std::nullopt,
                       featurizers_,
                       asked);
    choice.targets = choice.decision.order;
    for (const Target target : choice.targets) {
        choice.models.push_back(ids[target]);
    }
    return choice;
}

void RouteTable::remember(const NamedRoute& route,
                          const router::RequestFacts& facts,
                          Target target,
                          const router::Decision& decision) {
    if (!route.affinity || facts.messages == 0) {
        return;
    }
    std::uint32_t label = router::recognised(route.policy, decision);
    if (const auto earlier = conversations_.find(key_of(route, facts));
        label == router::kNoLabel && earlier.has_value() && earlier->target == target) {
        label = earlier->label;  // "go on" has no task of its own
    }
    conversations_.put(key_of(route, facts), {target, label});
}

std::optional<router::Prediction> RouteTable::recall(const NamedRoute& route,
                                                     const router::Classifier& classifier,
                                                     std::string_view text) {
    return classifications_.find(key_of(route, classifier, text));
}

void RouteTable::keep(const NamedRoute& route,
                      const router::Classifier& classifier,
                      std::string_view text,
                      const router::Prediction& prediction) {
    classifications_.put(key_of(route, classifier, text), prediction);
}

std::vector<std::string> RouteTable::missing_targets(const control::Fleet& fleet) const {
    std::vector<std::string> missing;
    for (const config::RouteEntry& entry : entries_) {
        const NamedRoute* route = find(entry.name);
        std::vector<std::string> names =
            route == nullptr ? std::vector<std::string>() : route->policy.targets;
        for (const config::ClassifierModel& classifier : config::classifiers_of(entry)) {
            names.push_back(classifier.model);
        }
        for (const std::string& target : names) {
            if (const auto id = fleet.find(target); !id.ok()) {
                missing.push_back(entry.where + ": routes." + entry.name + ": " +
                                  id.error().message);
            }
        }
    }
    for (const NamedRoute& route : routes_) {
        for (const router::Classifier* asked : embedders_of(route.policy)) {
            const auto id = fleet.find(asked->model);
            const control::ModelView* model = id.ok() ? fleet.look(*id) : nullptr;
            const router::EmbeddingFacts& facts = asked->heads->facts();
            if (model != nullptr && model->embedding_length != 0 &&
                model->embedding_length != facts.size) {
                missing.push_back("routes." + route.name + ": the vectors of '" + asked->model +
                                  "' have " + std::to_string(model->embedding_length) +
                                  " numbers; the predictor was trained with " +
                                  std::to_string(facts.size) + " of '" + facts.model + "'");
            }
        }
    }
    return missing;
}

std::vector<control::ModelView> RouteTable::views() const {
    std::vector<control::ModelView> views;
    for (const NamedRoute& route : routes_) {
        views.push_back({.name = route.name,
                         .task = "route",
                         .state = "route",
                         .capabilities = {"completion"}});
    }
    return views;
}

}  // namespace drover::gateway
