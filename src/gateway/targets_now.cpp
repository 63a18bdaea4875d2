#include "gateway/targets_now.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace drover::gateway {

namespace {

/// A cautious guess: a model that is asked for more text than this cannot take it.
constexpr std::uint64_t kBytesPerTokenMax = 6;

/// What a token of a prompt has as a rule, in English.
constexpr double kBytesPerTokenUsual = 4;

/// What each request that waits for a model adds.
constexpr std::uint32_t kQueuedMs = 1000;
/// What each request adds that is computed together with others: every step takes longer.
constexpr std::uint32_t kRunningMs = 10;
/// A cache that is fuller has no room for another request before one of those in it ends.
constexpr double kCacheFull = 0.95;
/// What a request to a server waits whose circuit is open: any model that has to be loaded is
/// quicker.
constexpr std::uint32_t kServerDownMs = 60'000;

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
    using std::chrono::milliseconds;
    constexpr milliseconds kMax = std::chrono::hours(1);
    return static_cast<std::uint32_t>(
        std::min(std::chrono::duration_cast<milliseconds>(model.load_time), kMax).count());
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

/// The model's instance; null: there is none.
const control::InstanceView* instance_of(std::string_view model, const control::FleetView& fleet) {
    const auto found = std::find_if(
        fleet.instances.begin(), fleet.instances.end(), [&](const control::InstanceView& one) {
            return one.model == model;
        });
    return found == fleet.instances.end() ? nullptr : &*found;
}

/// What the prompt takes to compute, as if nothing of it was cached.
std::uint32_t prefill_ms(const control::ModelView& model, std::uint64_t bytes) {
    constexpr double kMax = 3'600'000;
    const std::chrono::duration<double, std::milli> per_token = model.prefill_per_token;
    const double tokens = static_cast<double>(bytes) / kBytesPerTokenUsual;
    return static_cast<std::uint32_t>(std::min(per_token.count() * tokens, kMax));
}

/// How soon the model could say the first word to a text of so many bytes.
router::TargetState state_of(const control::ModelView& model,
                             const control::FleetView& fleet,
                             std::uint64_t bytes) {
    if (!model.servers.empty()) {
        const bool works = model.state == "remote";
        return {.usable = true, .hot = works, .expected_ms = works ? 0 : kServerDownMs};
    }
    const control::InstanceView* instance = instance_of(model.name, fleet);
    const std::uint32_t prefill = prefill_ms(model, bytes);
    if (instance == nullptr) {
        return {.usable = true, .expected_ms = load_ms(model) + prefill, .bytes = model.estimated};
    }
    return {.usable = true,
            .hot = instance->state == "ready",
            .expected_ms = rest_ms(*instance, model) + instance->queued * kQueuedMs +
                           batch_ms(*instance) + prefill,
            .bytes = instance->bytes};
}

/// Those that hold a text of so many bytes. Where the guess leaves nobody, those with the longest
/// context may say for themselves.
void leave_those_that_hold(std::uint64_t bytes, TargetsNow& targets) {
    std::uint64_t longest = 0;
    for (const control::ModelView* model : targets.models) {
        if (model != nullptr) {
            longest = std::max(longest, model->context == 0 ? UINT64_MAX : model->context);
        }
    }
    const bool nobody = bytes / kBytesPerTokenMax > longest;
    for (std::size_t i = 0; i < targets.models.size(); ++i) {
        const control::ModelView* model = targets.models[i];
        if (model != nullptr && !holds(*model, bytes)) {
            targets.states[i].usable = nobody && model->context == longest;
        }
    }
}

/// Those that have the capability, when any has.
void leave_those_able(std::string_view capability, TargetsNow& targets) {
    const auto able = [capability](const control::ModelView* model) {
        return model != nullptr && has(*model, capability);
    };
    if (std::none_of(targets.models.begin(), targets.models.end(), able)) {
        return;
    }
    for (std::size_t i = 0; i < targets.models.size(); ++i) {
        targets.states[i].usable = targets.states[i].usable && able(targets.models[i]);
    }
}

}  // namespace

TargetsNow look_at_targets(const std::vector<std::string>& names,
                           const router::RequestFacts& facts,
                           Need need,
                           const control::Fleet& fleet,
                           bool local_only) {
    TargetsNow targets;
    targets.models.resize(names.size());
    targets.ids.resize(names.size());
    targets.states.resize(names.size());
    const control::FleetView view = fleet.view();
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto id = fleet.find(names[i]);
        const control::ModelView* model = id.ok() ? fleet.look(*id) : nullptr;
        if (model != nullptr && does(*model, need) && !(local_only && !model->servers.empty())) {
            targets.models[i] = model;
            targets.ids[i] = *id;
            targets.states[i] = state_of(*model, view, facts.bytes);
        }
    }
    leave_those_that_hold(facts.bytes, targets);
    if (facts.images) {
        leave_those_able("vision", targets);
    }
    if (facts.tools) {
        leave_those_able("tools", targets);
    }
    return targets;
}

std::vector<ModelId> idle_targets(const std::vector<std::string>& names,
                                  const control::Fleet& fleet) {
    std::vector<ModelId> idle;
    const control::FleetView view = fleet.view();
    for (const std::string& name : names) {
        const auto id = fleet.find(name);
        if (!id.ok()) {
            continue;
        }
        const control::InstanceView* instance = instance_of(fleet.name(*id), view);
        if (instance != nullptr && instance->leases == 0 && instance->queued == 0) {
            idle.push_back(*id);
        }
    }
    return idle;
}

}  // namespace drover::gateway
