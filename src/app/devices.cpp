#include "app/devices.hpp"

#include <algorithm>
#include <utility>

#include "platform/log.hpp"
#include "platform/memory_probe.hpp"
#include "platform/paths.hpp"

namespace drover::app {

namespace log = platform::log;

namespace {

/// Whether `name` means this GPU.
bool is_named(std::uint32_t index, std::string_view uuid, std::string_view name) {
    return name == std::to_string(index) || (name.starts_with("GPU-") && uuid.starts_with(name));
}

/// What the environment lets us see of them, as CUDA reads it: everything, or a list of numbers and
/// UUIDs of which nothing counts from the first on that is none.
std::vector<platform::Gpu> visible(std::vector<platform::Gpu> gpus) {
    const auto given = platform::process_environment()("CUDA_VISIBLE_DEVICES");
    if (!given.has_value()) {
        return gpus;
    }
    std::vector<platform::Gpu> seen;
    std::string_view rest = *given;
    while (!rest.empty()) {
        const std::string_view name = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(name.size() + 1, rest.size()));
        const auto found = std::find_if(gpus.begin(), gpus.end(), [name](const auto& gpu) {
            return is_named(gpu.index, gpu.uuid, name);
        });
        if (found == gpus.end()) {
            break;
        }
        seen.push_back(*found);
    }
    return seen;
}

/// `auto` when nothing is said of it.
Bytes budget_of(const platform::Gpu& gpu, const config::MemoryConfig& config) {
    const auto given = std::find_if(config.gpus.begin(), config.gpus.end(), [&](const auto& one) {
        return is_named(gpu.index, gpu.uuid, one.gpu);
    });
    if (given == config.gpus.end() || !given->bytes.has_value()) {
        return std::max(gpu.free - config.gpu_reserve, Bytes(0));
    }
    if (*given->bytes > gpu.total && !gpu.unified) {
        log::warn("memory.budget_above_gpu",
                  {{"gpu", gpu.index},
                   {"budget", drover::to_string(*given->bytes)},
                   {"has", drover::to_string(gpu.total)}});
    }
    return *given->bytes;
}

std::vector<control::Device> devices_of(const std::vector<platform::Gpu>& gpus,
                                        const config::MemoryConfig& config) {
    std::vector<control::Device> devices;
    std::size_t slot = memory::kHostDevice;
    for (const platform::Gpu& gpu : gpus) {
        if (!gpu.unified && slot + 1 == memory::kDevicesMax) {
            log::warn("memory.too_many_gpus", {{"unused", gpu.index}});
            continue;
        }
        devices.push_back({.slot = gpu.unified ? memory::kHostDevice : ++slot,
                           .index = gpu.index,
                           .uuid = gpu.uuid,
                           .name = gpu.name,
                           .total = gpu.total,
                           .budget = gpu.unified ? Bytes(0) : budget_of(gpu, config)});
    }
    return devices;
}

/// Fills in the GPUs; what is wrong with the driver is a problem, not an error.
void find_gpus(const config::MemoryConfig& config, Devices& devices) {
    auto probe = platform::GpuProbe::open(config.nvml);
    if (!probe.ok()) {
        // Most machines have none.
        if (probe.error().code != ErrorCode::not_found || !config.gpus.empty()) {
            devices.problem = probe.error().message;
        }
        return;
    }
    auto gpus = probe->gpus();
    if (!gpus.ok()) {
        devices.problem = gpus.error().message;
        return;
    }
    devices.gpus = devices_of(visible(std::move(*gpus)), config);
    devices.probe = std::make_shared<const platform::GpuProbe>(*std::move(probe));
    for (control::Device& device : devices.gpus) {
        if (device.unified()) {
            device.budget = devices.budget[memory::kHostDevice];
        } else {
            devices.budget[device.slot] = device.budget;
        }
    }
}

}  // namespace

Result<Bytes> host_budget(const config::MemoryConfig& config) {
    const auto host = platform::host_memory();
    if (!host.ok()) {
        return host.error();
    }
    if (config.budget.has_value()) {
        return *config.budget;
    }
    const Bytes budget = host->available - config.reserve;
    if (budget <= Bytes(0)) {
        return Error{ErrorCode::insufficient_memory,
                     "only " + drover::to_string(host->available) +
                         " of memory are available, less than the reserve of " +
                         drover::to_string(config.reserve) +
                         "; free some memory, or set memory.budget or memory.reserve"};
    }
    return budget;
}

Result<Devices> find_devices(const config::MemoryConfig& config) {
    const auto host = host_budget(config);
    if (!host.ok()) {
        return host.error();
    }
    Devices devices{.budget = memory::Footprint::host(*host)};
    if (!config.use_gpus) {
        return devices;
    }
    find_gpus(config, devices);
    for (const config::GpuBudget& one : config.gpus) {
        if (find_gpu(devices.gpus, one.gpu) == nullptr) {
            return Error{ErrorCode::invalid_argument,
                         "memory.gpus: there is no GPU " + one.gpu + "; " +
                             (devices.problem.empty() ? list_gpus(devices.gpus) : devices.problem) +
                             ". Remove the line, or write another number or UUID"};
        }
    }
    return devices;
}

const control::Device* find_gpu(const std::vector<control::Device>& gpus, std::string_view name) {
    const auto found = std::find_if(gpus.begin(), gpus.end(), [name](const auto& gpu) {
        return is_named(gpu.index, gpu.uuid, name);
    });
    return found != gpus.end() ? &*found : nullptr;
}

std::string list_gpus(const std::vector<control::Device>& gpus) {
    if (gpus.empty()) {
        return "there is none";
    }
    std::string text = gpus.size() == 1 ? "there is " : "there are ";
    for (std::size_t i = 0; i < gpus.size(); ++i) {
        text += (i == 0 ? "" : ", ") + gpus[i].label() + " (" + gpus[i].name + ", " + gpus[i].uuid +
                ")";
    }
    return text;
}

}  // namespace drover::app
