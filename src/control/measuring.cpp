// What ControlLoop measures: its engines, the machine, and what that does to the budgets.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/control_loop.hpp"
#include "engines/engine_client.hpp"
#include "engines/engine_load.hpp"
#include "engines/http_call.hpp"
#include "engines/launch_plan.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;
using memory::Footprint;
using memory::kDevicesMax;
using memory::kHostDevice;
using platform::Task;

namespace {

/// Computed tokens after which the measured speed replaces the guess.
constexpr double kTokensForSpeed = 64;

constexpr std::chrono::milliseconds kSpeedPatience(500);

/// Of a token; an engine that says more is not believed.
constexpr double kPrefillSecondsMax = 60;

Engine engine_of(const Instance& instance) {
    // llama-server has no children.
    return {.instance = instance.id,
            .pid = instance.supervisor.pid(),
            .tree = instance.supervisor.plan().guarded,
            .slots = instance.placed.slots};
}

}  // namespace

/// What it holds while it sleeps.
Task<Result<Footprint>> ControlLoop::weigh_asleep(std::shared_ptr<Instance> instance) {
    const std::vector<Engine> engines{engine_of(*instance)};
    const auto work = [this, engines] {
        return scales_.weigh(engines);
    };
    const Weighing weighing = co_await pool_.run(work);
    const auto weight = weighing.engines.find(instance->id);
    if (weight == weighing.engines.end() ||
        instance->supervisor.state() != engines::ProcessState::ready) {
        // What was read may be half of it.
        co_return Error{ErrorCode::engine_failed, "the engine ended meanwhile"};
    }
    const Footprint& unseen = std::as_const(instance->placed.unseen_asleep.at(instance->way));
    Footprint held = Footprint::host(std::max(weight->second.host.total, unseen[kHostDevice]));
    for (std::size_t i = 0; i < weight->second.gpus.size(); ++i) {
        const std::size_t slot = scales_.devices()[i].slot;
        const Bytes otherwise = slot == kHostDevice ? Bytes(0) : unseen[slot];
        held[slot] += weight->second.gpus[i].value_or(otherwise);
    }
    co_return held;
}

Task<> ControlLoop::measure(std::shared_ptr<Instance> instance) {
    const std::vector<Engine> engines{engine_of(*instance)};
    const auto work = [this, engines] {
        return scales_.weigh(engines);
    };
    const Weighing weighing = co_await pool_.run(work);
    if (note(*instance, weighing)) {
        co_await remember(instance);
    }
}

/// Tells the scheduler what the instance takes. False: nothing new.
bool ControlLoop::note(Instance& instance, const Weighing& weighing) {
    const auto weight = weighing.engines.find(instance.id);
    if (weight == weighing.engines.end() || instance.resting ||
        instance.supervisor.state() != engines::ProcessState::ready) {
        return false;  // it ended meanwhile, and what was read may be half of it
    }
    if (const auto known = scheduler_.instance_of(instance.model);
        !known.has_value() || known->state != memory::InstanceState::ready) {
        return false;  // conversations are put into it yet, or it is on its way out
    }
    Footprint measured = Footprint::host(weight->second.host.total);
    Footprint least = instance.placed.least;
    for (std::size_t i = 0; i < scales_.devices().size(); ++i) {
        const std::size_t slot = scales_.devices()[i].slot;
        const auto bytes = i < weight->second.gpus.size() ? weight->second.gpus[i] : std::nullopt;
        if (bytes.has_value()) {
            measured[slot] += *bytes;
        } else {
            least[slot] = std::max(least[slot], instance.reserved[slot]);  // nobody knows better
        }
    }
    if (!instance.measured_at_ready.has_value()) {
        instance.measured_at_ready = measured;
    }
    // What it has touched since it became ready comes out of the growth that was foreseen.
    Footprint charged = measured;
    charged.raise_to(*instance.measured_at_ready + instance.placed.growth);
    charged.raise_to(least);
    if (charged == instance.charged) {
        return false;
    }
    instance.charged = charged;
    log::debug("instance.measured",
               {{"model", name(instance.model)},
                {"host", drover::to_string(measured[kHostDevice])},
                {"all", drover::to_string(measured.total())},
                {"charged", drover::to_string(charged.total())}});
    feed(memory::InstanceMeasured{instance.id, charged});
    return true;
}

/// For the next estimate of the same model.
Task<> ControlLoop::remember(std::shared_ptr<Instance> instance) {
    if (options_.sizes == nullptr) {
        co_return;
    }
    MeasuredSize size{.bytes = {}, .load_time = instance->load_time};
    for (const std::size_t slot : instance->placed.slots) {
        size.bytes.push_back(std::as_const(instance->charged)[slot]);
    }
    const auto work = [sizes = options_.sizes, key = instance->placed.size_key, size] {
        return sizes->remember(key, size);
    };
    co_await pool_.run(work);
}

Task<> ControlLoop::measure_periodically() {
    platform::Timer timer(loop_);
    while (true) {
        timer.expires_after(options_.measure_every);
        const auto [error] = co_await timer.async_wait(platform::as_result);
        if (error) {
            co_return;
        }
        // What is weighed while it loads tells nothing of what it takes afterwards.
        const std::vector<InstanceId> ready = ready_instances();
        const auto work = [this, engines = running_engines()] {
            return scales_.weigh(engines);
        };
        const Weighing weighing = co_await pool_.run(work);
        budget_.review(weighing, scheduler_.held());
        update_budget();
        for (const InstanceId id : ready) {
            const auto found = instances_.find(id);
            if (found == instances_.end()) {
                continue;
            }
            const std::shared_ptr<Instance> instance = found->second;
            if (note(*instance, weighing)) {
                co_await remember(instance);
            }
            if (instance->supervisor.state() == engines::ProcessState::ready &&
                !instance->resting) {
                co_await snapshots_.review(instance);
                co_await learn_speed(instance);
            }
        }
    }
}

/// How long the next request waits for its first token depends on what the engine has to do.
Task<> ControlLoop::ask_loads() {
    platform::Timer timer(loop_);
    while (true) {
        timer.expires_after(options_.ask_load_every);
        const auto [error] = co_await timer.async_wait(platform::as_result);
        if (error) {
            co_return;
        }
        for (const InstanceId id : ready_instances()) {
            const auto found = instances_.find(id);
            if (found == instances_.end() ||
                found->second->supervisor.plan().metrics != engines::Metrics::vllm) {
                continue;
            }
            const std::shared_ptr<Instance> instance = found->second;
            const auto known = scheduler_.instance_of(instance->model);
            if (!known.has_value() || known->leases == 0) {
                instance->load.reset();
                continue;
            }
            const engines::Endpoint endpoint = instance->supervisor.plan().where();
            engines::HttpQuestion question{.path = "/metrics"};
            const TimePoint patience = platform::now() + options_.ask_load_every;
            const auto answer =
                co_await engines::http_call(loop_, endpoint, std::move(question), patience);
            if (answer.ok() && answer->status == 200) {
                instance->load = engines::read_vllm_load(answer->body);
            }
            if (instance->load.has_value()) {
                note_prefill(instance->model,
                             instance->load->prompt_tokens,
                             instance->load->prefill_seconds);
            }
        }
    }
}

/// What its engine counts includes the prompts of all its requests so far.
Task<> ControlLoop::learn_speed(std::shared_ptr<Instance> instance) {
    if (instance->supervisor.plan().metrics != engines::Metrics::llama_cpp ||
        !std::exchange(instance->served, false)) {
        co_return;
    }
    engines::EngineClient client(loop_, instance->upstream.endpoint());
    const auto counters = co_await client.prompt_counters(platform::now() + kSpeedPatience);
    if (counters.ok()) {
        note_prefill(instance->model, counters->computed, counters->seconds);
    }
}

void ControlLoop::note_prefill(ModelId id, double tokens, double seconds) {
    const auto model = models_.find(id);
    if (tokens < kTokensForSpeed || model == models_.end()) {
        return;
    }
    // In this order even what is no number gives a duration.
    const std::chrono::duration<double> per_token(
        std::max(0.0, std::min(kPrefillSecondsMax, seconds / tokens)));
    model->second.view.prefill_per_token = std::chrono::duration_cast<Duration>(per_token);
    snapshots_.note_speed(id, model->second.view.prefill_per_token);
}

std::vector<InstanceId> ControlLoop::ready_instances() const {
    std::vector<InstanceId> ready;
    for (const auto& [id, instance] : instances_) {
        if (instance->supervisor.state() == engines::ProcessState::ready && !instance->resting) {
            ready.push_back(id);
        }
    }
    return ready;
}

std::vector<Engine> ControlLoop::running_engines() const {
    std::vector<Engine> engines;
    for (const auto& [id, instance] : instances_) {
        if (instance->supervisor.pid() > 0) {
            engines.push_back(engine_of(*instance));
        }
    }
    return engines;
}

void ControlLoop::update_budget() {
    const Footprint budget = with_count(budget_.available());
    if (budget != scheduler_.budget()) {
        feed(memory::BudgetChanged{budget});
    }
}

/// The budget in bytes, and in models where their number is limited.
Footprint ControlLoop::with_count(Footprint budget) const {
    if (options_.models_max != 0) {
        budget[memory::kModelCount] = Bytes(options_.models_max);
    }
    return budget;
}

/// "host", "GPU 0".
std::string ControlLoop::label_of(std::size_t slot) const {
    const auto device =
        std::find_if(options_.gpus.begin(), options_.gpus.end(), [slot](const Device& one) {
            return one.slot == slot && !one.unified();
        });
    return device != options_.gpus.end() ? device->label() : "host";
}

/// "5.0 GiB of memory, but at most 4.0 GiB can be freed for it": on each device where it lacks
/// some.
std::string ControlLoop::short_of(const memory::RefuseRequest& effect) const {
    std::string text;
    for (std::size_t slot = 0; slot < kDevicesMax; ++slot) {
        const Bytes needed = effect.needed[slot];
        if (needed > Bytes(0) && needed > effect.available[slot]) {
            text += (text.empty() ? "" : "; and ") + drover::to_string(needed) + " of " +
                    (slot == kHostDevice ? "memory" : label_of(slot)) + ", but at most " +
                    drover::to_string(std::max(effect.available[slot], Bytes(0))) +
                    " can be freed for it";
        }
    }
    if (effect.needed[memory::kModelCount] > effect.available[memory::kModelCount]) {
        text += std::string(text.empty() ? "" : "; and ") + "a place among the " +
                std::to_string(options_.models_max) +
                " models that may be loaded (memory.max_models), all of which are pinned ones'";
    }
    return text;
}

/// What its settings would have to make it fit into: of the devices that its larger part would lie
/// on.
Bytes ControlLoop::room_for(const memory::RefuseRequest& effect) {
    Bytes gpus;
    bool on_gpus = false;
    for (std::size_t slot = kHostDevice + 1; slot < kDevicesMax; ++slot) {
        if (effect.needed[slot] > Bytes(0)) {
            on_gpus = true;
            gpus += effect.available[slot];
        }
    }
    return on_gpus ? gpus : effect.available[kHostDevice];
}

/// "Pinned models hold 488.0 MiB of it ('gemma'); ...": what would help most.
std::string ControlLoop::taken_by_pinned(const Footprint& needed) const {
    Bytes held;
    std::string names;
    for (const auto& [id, managed] : models_) {
        const auto instance = managed.traits.pinned ? scheduler_.instance_of(id) : std::nullopt;
        if (!instance.has_value()) {
            continue;
        }
        Bytes here;
        for (std::size_t slot = 0; slot < kDevicesMax; ++slot) {
            here += needed[slot] > Bytes(0) ? std::as_const(instance->held)[slot] : Bytes(0);
        }
        if (here > Bytes(0)) {
            held += here;
            names += (names.empty() ? "'" : ", '") + managed.view.name + "'";
        }
    }
    return names.empty() ? ""
                         : "Pinned models hold " + drover::to_string(held) + " of it (" + names +
                               "); unpinned, or unloaded by `drover stop`, they would make room. ";
}

std::string ControlLoop::taken_by_others(const Footprint& needed) const {
    std::string text;
    for (const std::size_t slot : budget_.slots()) {
        if (needed[slot] > Bytes(0) && budget_.taken(slot) > Bytes(0)) {
            text += "Other programs on this machine need " +
                    drover::to_string(budget_.taken(slot)) + " of the budget of " +
                    drover::to_string(budget_.configured(slot)) +
                    (slot == kHostDevice ? "" : " of " + label_of(slot)) + " at present. ";
        }
    }
    return text;
}

}  // namespace drover::control
