// The devices of this machine that models may use, with their budgets. Blocks on the kernel, the
// GPU driver and llama-server; at start-up, any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "config/config.hpp"
#include "control/device.hpp"
#include "memory/footprint.hpp"
#include "platform/gpu_probe.hpp"

namespace drover::app {

struct Devices {
    memory::Footprint budget;           ///< of the host and of all GPUs
    std::vector<control::Device> gpus;  ///< none: there are none, or none is to be used
    std::shared_ptr<const platform::GpuProbe> probe;  ///< there when there are GPUs
    /// Why there are no GPUs although there may be some; empty: nothing is wrong.
    std::string problem;
};

/// The bytes of host memory that engines may use together: as configured, or what is available now
/// minus the reserve. `insufficient_memory`: that is nothing.
Result<Bytes> host_budget(const config::MemoryConfig& config);

/// Host and GPUs. Those that CUDA_VISIBLE_DEVICES hides from us are left out. Errors: those of
/// host_budget(); `invalid_argument` when the configuration names a GPU that is not there.
Result<Devices> find_devices(const config::MemoryConfig& config);

/// By its number, its UUID or the beginning of that; null when there is none.
const control::Device* find_gpu(const std::vector<control::Device>& gpus, std::string_view name);

/// "there are GPU 0 (NVIDIA L4, GPU-5d1b...) and ...", for messages.
std::string list_gpus(const std::vector<control::Device>& gpus);

}  // namespace drover::app
