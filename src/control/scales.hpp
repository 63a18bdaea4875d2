// What the machine has, what Drover and its engines take of it: everything that is measured, at one
// moment. Blocks for milliseconds up to tenths of a second; for the pool.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/ids.hpp"
#include "control/device.hpp"
#include "platform/gpu_probe.hpp"
#include "platform/memory_probe.hpp"

namespace drover::control {

/// An engine to weigh.
struct Engine {
    InstanceId instance;
    pid_t pid = 0;
    bool tree = false;  ///< it may have children: its whole group counts
    std::vector<std::size_t> slots{memory::kHostDevice};  ///< of the devices that its model lies on
};

/// What an engine takes.
struct Weight {
    platform::ProcessMemory host;
    std::vector<std::optional<Bytes>> gpus;  ///< of each GPU; unset: nobody knows
};

/// What a GPU has.
struct GpuWeight {
    Bytes free;
    std::optional<Bytes> ours;  ///< of all engines; unset: nobody knows
};

struct Weighing {
    std::optional<platform::ProcessMemory> own{};  ///< Drover itself
    std::optional<platform::HostMemory> host{};
    double stalled = 0;  ///< see platform::memory_stall
    /// Of each device; unset: it does not answer. Empty: the driver does not.
    std::vector<std::optional<GpuWeight>> gpus{};
    std::map<InstanceId, Weight> engines{};  ///< of those that live
};

/// Any thread, several at once.
class Scales {
  public:
    Scales() = default;
    /// `probe` is there when there are devices.
    Scales(std::vector<Device> devices, std::shared_ptr<const platform::GpuProbe> probe)
        : devices_(std::move(devices)), probe_(std::move(probe)) {}

    const std::vector<Device>& devices() const { return devices_; }

    Weighing weigh(const std::vector<Engine>& engines) const;

  private:
    using Gpus = std::vector<std::optional<platform::Gpu>>;

    Gpus look_at_gpus() const;
    std::optional<Weight> weight_of(const Engine& engine, const Gpus& gpus) const;

    std::vector<Device> devices_;
    std::shared_ptr<const platform::GpuProbe> probe_;
};

}  // namespace drover::control
