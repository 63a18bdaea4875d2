#include <array>
#include <utility>

#include <dlfcn.h>

#include "platform/gpu_probe.hpp"

namespace drover::platform {

namespace {

// What is used of nvml.h, which need not be there to build: names, numbers and layouts are part of
// the library's binary interface.
using NvmlStatus = int;
using Device = struct DeviceTag*;

constexpr NvmlStatus kSuccess = 0;
constexpr NvmlStatus kNotSupported = 3;
constexpr NvmlStatus kInsufficientSize = 7;
constexpr unsigned long long kNotAvailable = ~0ULL;
constexpr std::size_t kTextMax = 96;

struct Memory {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
};

struct Process {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance;
    unsigned int compute_instance;
};

/// Rows that are asked for at first; more when there are more.
constexpr unsigned int kProcessesGuess = 64;

Bytes bytes_of(unsigned long long count) {
    return Bytes(static_cast<std::int64_t>(count));
}

}  // namespace

/// The functions, all of which are there, and the hold on the library.
struct GpuProbe::Library {
    void* handle = nullptr;
    bool ready = false;
    NvmlStatus (*init)() = nullptr;
    NvmlStatus (*shutdown)() = nullptr;
    const char* (*error_text)(NvmlStatus) = nullptr;
    NvmlStatus (*count)(unsigned int*) = nullptr;
    NvmlStatus (*by_index)(unsigned int, Device*) = nullptr;
    NvmlStatus (*uuid)(Device, char*, unsigned int) = nullptr;
    NvmlStatus (*name)(Device, char*, unsigned int) = nullptr;
    NvmlStatus (*memory)(Device, Memory*) = nullptr;
    NvmlStatus (*processes)(Device, unsigned int*, Process*) = nullptr;

    Library() = default;
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
    ~Library() {
        if (ready) {
            shutdown();
        }
        if (handle != nullptr) {
            ::dlclose(handle);
        }
    }

    template <typename Function>
    bool find(const char* symbol, Function& function) const {
        function = reinterpret_cast<Function>(::dlsym(handle, symbol));
        return function != nullptr;
    }

    /// The name of the first function that is missing; null: none is.
    const char* find_all() {
        const std::pair<const char*, bool> found[] = {
            {"nvmlInit_v2", find("nvmlInit_v2", init)},
            {"nvmlShutdown", find("nvmlShutdown", shutdown)},
            {"nvmlErrorString", find("nvmlErrorString", error_text)},
            {"nvmlDeviceGetCount_v2", find("nvmlDeviceGetCount_v2", count)},
            {"nvmlDeviceGetHandleByIndex_v2", find("nvmlDeviceGetHandleByIndex_v2", by_index)},
            {"nvmlDeviceGetUUID", find("nvmlDeviceGetUUID", uuid)},
            {"nvmlDeviceGetName", find("nvmlDeviceGetName", name)},
            {"nvmlDeviceGetMemoryInfo", find("nvmlDeviceGetMemoryInfo", memory)},
            // Drivers before 2021 have only the first version, of another layout.
            {"nvmlDeviceGetComputeRunningProcesses_v3",
             find("nvmlDeviceGetComputeRunningProcesses_v3", processes) ||
                 find("nvmlDeviceGetComputeRunningProcesses_v2", processes)}};
        for (const auto& [symbol, there] : found) {
            if (!there) {
                return symbol;
            }
        }
        return nullptr;
    }

    Error failure(const std::string& what, NvmlStatus status) const {
        const char* text = error_text(status);
        return {ErrorCode::unavailable,
                what + ": " + (text != nullptr ? text : "error " + std::to_string(status))};
    }

    std::optional<std::map<pid_t, Bytes>> processes_of(Device device) const {
        std::vector<Process> rows(kProcessesGuess);
        for (const bool last_try : {false, true}) {
            auto number = static_cast<unsigned int>(rows.size());
            const NvmlStatus status = processes(device, &number, rows.data());
            if (status == kInsufficientSize && !last_try) {
                rows.resize(std::size_t{number} * 2);  // more may begin meanwhile
                continue;
            }
            if (status != kSuccess) {
                return std::nullopt;
            }
            std::map<pid_t, Bytes> used;
            for (std::size_t i = 0; i < number && i < rows.size(); ++i) {
                if (rows[i].used == kNotAvailable) {
                    return std::nullopt;
                }
                used[static_cast<pid_t>(rows[i].pid)] += bytes_of(rows[i].used);
            }
            return used;
        }
        return std::nullopt;
    }

    /// Nullopt: it does not answer.
    std::optional<Gpu> look(unsigned int index) const {
        Device device = nullptr;
        std::array<char, kTextMax> id{};
        std::array<char, kTextMax> title{};
        Memory held{};
        if (by_index(index, &device) != kSuccess || uuid(device, id.data(), kTextMax) != kSuccess ||
            name(device, title.data(), kTextMax) != kSuccess) {
            return std::nullopt;
        }
        Gpu gpu{.index = index, .uuid = id.data(), .name = title.data()};
        const NvmlStatus status = memory(device, &held);
        if (status != kSuccess && status != kNotSupported) {
            return std::nullopt;
        }
        gpu.unified = status == kNotSupported;
        if (!gpu.unified) {
            gpu.total = bytes_of(held.total);
            gpu.free = bytes_of(held.free);
        }
        gpu.processes = processes_of(device);
        return gpu;
    }
};

std::optional<Bytes> Gpu::used_by(const std::vector<pid_t>& pids) const {
    if (!processes.has_value()) {
        return std::nullopt;
    }
    Bytes sum;
    for (const pid_t pid : pids) {
        const auto found = processes->find(pid);
        sum += found != processes->end() ? found->second : Bytes(0);
    }
    return sum;
}

GpuProbe::GpuProbe(std::unique_ptr<Library> library) : library_(std::move(library)) {}
GpuProbe::GpuProbe(GpuProbe&&) noexcept = default;
GpuProbe& GpuProbe::operator=(GpuProbe&&) noexcept = default;
GpuProbe::~GpuProbe() = default;

Result<GpuProbe> GpuProbe::open(const std::filesystem::path& path) {
    auto library = std::make_unique<Library>();
    library->handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library->handle == nullptr) {
        return Error{ErrorCode::not_found, "no NVIDIA driver: " + std::string(::dlerror())};
    }
    if (const char* missing = library->find_all(); missing != nullptr) {
        return Error{ErrorCode::unavailable,
                     path.string() + " has no " + missing + "; install a newer NVIDIA driver"};
    }
    if (const int status = library->init(); status != kSuccess) {
        return library->failure("the NVIDIA driver does not work", status);
    }
    library->ready = true;
    return GpuProbe(std::move(library));
}

Result<std::vector<Gpu>> GpuProbe::gpus() const {
    unsigned int count = 0;
    if (const int status = library_->count(&count); status != kSuccess) {
        return library_->failure("the NVIDIA driver does not answer", status);
    }
    std::vector<Gpu> gpus;
    for (unsigned int index = 0; index < count; ++index) {
        if (auto gpu = library_->look(index); gpu.has_value()) {
            gpus.push_back(*std::move(gpu));
        }
    }
    return gpus;
}

}  // namespace drover::platform
