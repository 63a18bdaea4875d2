#include "control/scales.hpp"

#include <algorithm>
#include <utility>

#include "platform/process_group.hpp"

namespace drover::control {

namespace {

/// What all engines have of a device.
std::optional<Bytes> sum_of(const std::map<InstanceId, Weight>& engines, std::size_t device) {
    std::optional<Bytes> sum = Bytes(0);
    for (const auto& [id, weight] : engines) {
        const std::optional<Bytes> one = weight.gpus[device];
        sum = sum.has_value() && one.has_value() ? std::optional(*sum + *one) : std::nullopt;
    }
    return sum;
}

}  // namespace

Weighing Scales::weigh(const std::vector<Engine>& engines) const {
    Weighing weighing;
    // The machine first: what an engine takes meanwhile then looks like ours, not like another's.
    if (const auto host = platform::host_memory(); host.ok()) {
        weighing.host = *host;
    }
    const Gpus gpus = look_at_gpus();
    if (const auto own = platform::process_pss(platform::own_pid()); own.ok()) {
        weighing.own = *own;
    }
    weighing.stalled = platform::memory_stall();
    for (const Engine& engine : engines) {
        if (auto weight = weight_of(engine, gpus); weight.has_value()) {
            weighing.engines.emplace(engine.instance, *std::move(weight));
        }
    }
    for (std::size_t device = 0; device < gpus.size(); ++device) {
        const auto& gpu = gpus[device];
        const std::optional<Bytes> ours = gpu.has_value() && gpu->processes.has_value()
                                              ? sum_of(weighing.engines, device)
                                              : std::nullopt;
        weighing.gpus.push_back(gpu.has_value()
                                    ? std::optional(GpuWeight{.free = gpu->free, .ours = ours})
                                    : std::nullopt);
    }
    return weighing;
}

/// Nullopt when it has ended.
std::optional<Weight> Scales::weight_of(const Engine& engine, const Gpus& gpus) const {
    const auto host =
        engine.tree ? platform::group_pss(engine.pid) : platform::process_pss(engine.pid);
    if (!host.ok()) {
        return std::nullopt;
    }
    Weight weight{.host = *host, .gpus = {}};
    // Looking at every process of the machine takes time.
    const std::vector<pid_t> pids = engine.tree && !gpus.empty()
                                        ? platform::group_members(engine.pid)
                                        : std::vector<pid_t>{engine.pid};
    for (std::size_t i = 0; i < gpus.size(); ++i) {
        std::optional<Bytes> bytes = gpus[i].has_value() ? gpus[i]->used_by(pids) : std::nullopt;
        // One that must have something and is not in the driver's list is there under another
        // number: that of its host, when we are in a container.
        const bool lies_there =
            std::find(engine.slots.begin(), engine.slots.end(), devices_[i].slot) !=
            engine.slots.end();
        weight.gpus.push_back(lies_there && bytes == Bytes(0) ? std::nullopt : bytes);
    }
    return weight;
}

/// Each device as the driver sees it now; nothing at all when it does not answer.
Scales::Gpus Scales::look_at_gpus() const {
    Gpus seen;
    const auto gpus = devices_.empty()
                          ? Result<std::vector<platform::Gpu>>(std::vector<platform::Gpu>())
                          : probe_->gpus();
    for (const Device& device : devices_) {
        if (!gpus.ok()) {
            break;
        }
        const auto found = std::find_if(gpus->begin(), gpus->end(), [&](const platform::Gpu& gpu) {
            return gpu.uuid == device.uuid;
        });
        seen.push_back(found != gpus->end() ? std::optional(*found) : std::nullopt);
    }
    return seen;
}

}  // namespace drover::control
