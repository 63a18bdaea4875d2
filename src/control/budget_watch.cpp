#include "control/budget_watch.hpp"

#include <algorithm>
#include <utility>

#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;

namespace {

/// Mapped files are left out: the kernel counts them as available.
Bytes not_files(const platform::ProcessMemory& memory) {
    return memory.total - memory.file;
}

}  // namespace

Bytes own_share(Bytes total) {
    const std::int64_t step = kOwnMemoryStep.count();
    // One step of headroom: our memory may rise between two measurements.
    return Bytes((total.count() / step + 2) * step);
}

BudgetWatch::BudgetWatch(const memory::Footprint& budget,
                         std::vector<Device> devices,
                         std::optional<KeptFree> kept_free)
    : gives_back_(kept_free.has_value()), devices_(std::move(devices)) {
    const KeptFree kept = kept_free.value_or(KeptFree());
    pressures_.emplace_back(budget[memory::kHostDevice], kept.host);
    for (const Device& device : devices_) {
        if (!device.unified()) {
            pressures_.resize(std::max(pressures_.size(), device.slot + 1),
                              memory::Pressure(Bytes(0), kept.gpu));
            pressures_[device.slot] = memory::Pressure(budget[device.slot], kept.gpu);
        }
    }
}

void BudgetWatch::charge(const Weighing& weighing) {
    if (weighing.own.has_value()) {
        own_ = std::max(own_, own_share(weighing.own->total));
    }
}

void BudgetWatch::review(const Weighing& weighing, const memory::Footprint& held) {
    charge(weighing);
    if (!gives_back_) {
        return;
    }
    if (weighing.own.has_value() && weighing.host.has_value()) {
        memory::MemorySample sample{.available = weighing.host->available,
                                    .ours = not_files(*weighing.own),
                                    .held = held[memory::kHostDevice] + own_,
                                    .stalled = weighing.stalled};
        for (const auto& [id, weight] : weighing.engines) {
            sample.ours += not_files(weight.host);
        }
        note(memory::kHostDevice, sample, "host");
    }
    for (std::size_t i = 0; i < weighing.gpus.size(); ++i) {
        const Device& device = devices_[i];
        if (device.unified()) {
            continue;
        }
        memory::MemorySample sample;  // of one that does not answer: nothing is there
        if (const auto& gpu = weighing.gpus[i]; gpu.has_value()) {
            sample.available = gpu->free;
            // Where the driver does not say what is whose, the engines are believed to have what
            // they are charged.
            sample.ours = gpu->ours.value_or(held[device.slot]);
        }
        sample.held = held[device.slot];
        note(device.slot, sample, device.label());
    }
}

memory::Footprint BudgetWatch::available() const {
    memory::Footprint available;
    for (std::size_t slot = 0; slot < pressures_.size(); ++slot) {
        available[slot] = pressures_[slot].current();
    }
    available[memory::kHostDevice] -= own_;
    return available;
}

std::vector<std::size_t> BudgetWatch::slots() const {
    std::vector<std::size_t> slots{memory::kHostDevice};
    for (const Device& device : devices_) {
        if (!device.unified()) {
            slots.push_back(device.slot);
        }
    }
    return slots;
}

void BudgetWatch::note(std::size_t slot,
                       const memory::MemorySample& sample,
                       const std::string& name) {
    memory::Pressure& pressure = pressures_[slot];
    const Bytes before = pressure.current();
    const Bytes current = pressure.note(sample, platform::now());
    if (current != before) {
        log::info(current < before ? "memory.given_back" : "memory.taken_back",
                  {{"device", name},
                   {"budget", drover::to_string(current)},
                   {"configured", drover::to_string(pressure.budget())},
                   {"available", drover::to_string(sample.available)},
                   {"stalled", sample.stalled}});
    }
}

}  // namespace drover::control
