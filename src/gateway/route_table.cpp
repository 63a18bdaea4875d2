#include "gateway/route_table.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "gateway/targets_now.hpp"

namespace drover::gateway {

using router::Policy;
using router::Target;

namespace {

/// Conversations whose model is remembered.
constexpr std::size_t kConversationsMax = 4096;
/// Prompts that a classifier is not asked about again.
constexpr std::size_t kClassificationsMax = 4096;

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

}  // namespace

RouteTable::RouteTable(std::vector<config::RouteEntry> entries)
    : entries_(std::move(entries)),
      conversations_(kConversationsMax),
      classifications_(kClassificationsMax) {}

Status RouteTable::open() {
    for (const config::RouteEntry& entry : entries_) {
        routes_.push_back({.name = entry.name,
                           .affinity = entry.affinity,
                           .policy = builder_.build(entry),
                           .local_only = entry.local_only,
                           .cascade_wait = entry.cascade.has_value()
                                               ? entry.cascade->wait
                                               : std::chrono::milliseconds(0)});
    }
    const std::vector<config::Problem>& problems = builder_.problems();
    return problems.empty() ? Status()
                            : Error{ErrorCode::invalid_argument, problems.front().to_string()};
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
    TargetsNow targets = look_at_targets(route.policy.targets, facts, need, fleet, local_only);
    Choice choice;
    choice.states = std::move(targets.states);
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
        choice.models.push_back(targets.ids[target]);
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
                                  "' " + router::misfit(model->embedding_length, facts));
            }
        }
    }
    return missing;
}

control::ModelView RouteTable::view(const NamedRoute& route, const control::Fleet& fleet) {
    control::ModelView view{
        .name = route.name, .architecture = "route", .task = "route", .state = "route"};
    bool first = true;
    for (const std::string& target : route.policy.targets) {
        const auto id = fleet.find(target);
        const control::ModelView* model = id.ok() ? fleet.look(*id) : nullptr;
        if (model == nullptr) {
            continue;
        }
        view.trained_context = std::max(view.trained_context, model->context);
        const std::vector<std::string>& able = model->capabilities;
        if (std::exchange(first, false)) {
            view.capabilities = able;
        }
        std::erase_if(view.capabilities, [&](const std::string& one) {
            return std::find(able.begin(), able.end(), one) == able.end();
        });
    }
    return view;
}

std::vector<control::ModelView> RouteTable::views(const control::Fleet& fleet) const {
    std::vector<control::ModelView> views;
    for (const NamedRoute& route : routes_) {
        views.push_back(view(route, fleet));
    }
    return views;
}

}  // namespace drover::gateway
