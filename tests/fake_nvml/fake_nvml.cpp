// A stand-in for libnvidia-ml.so.1: several GPUs, one that is lost, errors, as a file says. See
// README.md.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int kSuccess = 0;
constexpr int kInvalidArgument = 2;
constexpr int kNotSupported = 3;
constexpr int kInsufficientSize = 7;
constexpr int kGpuIsLost = 15;
constexpr int kUnknown = 999;

struct Process {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance;
    unsigned int compute_instance;
};

struct Memory {
    unsigned long long total, free, used;
};

struct Gpu {
    std::string uuid, name;
    unsigned long long total = 0, free = 0;
    bool unified = false, lost = false, hidden = false;
    std::vector<Process> processes{};
};

struct Machine {
    std::vector<Gpu> gpus{};
    bool init_fails = false, count_fails = false;
};

void read_line(const std::string& line, Machine& machine) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    Gpu gpu;
    std::size_t number = 0;
    Process process{};
    if (what == "gpu") {
        words >> gpu.uuid >> gpu.name >> gpu.total >> gpu.free;
        machine.gpus.push_back(gpu);
    } else if (what == "unified") {
        words >> gpu.uuid >> gpu.name;
        gpu.unified = true;
        machine.gpus.push_back(gpu);
    } else if (what == "lost") {
        gpu.lost = true;
        machine.gpus.push_back(gpu);
    } else if (what == "process") {
        words >> number >> process.pid >> process.used;
        process.used <<= 20;
        machine.gpus.at(number).processes.push_back(process);
    } else if (what == "hidden") {
        words >> number;
        machine.gpus.at(number).hidden = true;
    } else if (what == "fails") {
        words >> what;
        (what == "init" ? machine.init_fails : machine.count_fails) = true;
    }
}

Machine machine() {
    Machine machine;
    const char* path = std::getenv("FAKE_NVML");
    std::ifstream file(path != nullptr ? path : "");
    for (std::string line; std::getline(file, line);) {
        read_line(line, machine);
    }
    return machine;
}

/// A handle is the GPU's number, plus one: null is none.
void* handle_of(unsigned int index) {
    return reinterpret_cast<void*>(std::size_t{index} + 1);
}

/// Calls `use` with the GPU, or says why there is none.
template <typename Use>
int with(void* handle, Use use) {
    const Machine now = machine();
    const std::size_t index = reinterpret_cast<std::size_t>(handle) - 1;
    if (index >= now.gpus.size()) {
        return kInvalidArgument;
    }
    return now.gpus[index].lost ? kGpuIsLost : use(now.gpus[index]);
}

int put(const std::string& text, char* into, unsigned int length) {
    if (text.size() >= length) {
        return kInsufficientSize;
    }
    std::memcpy(into, text.c_str(), text.size() + 1);
    return kSuccess;
}

}  // namespace

// The names are NVIDIA's.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

int nvmlInit_v2() {
    return machine().init_fails ? kUnknown : kSuccess;
}

int nvmlShutdown() {
    return kSuccess;
}

const char* nvmlErrorString(int status) {
    return status == kGpuIsLost ? "GPU is lost" : "Unknown Error";
}

int nvmlDeviceGetCount_v2(unsigned int* count) {
    const Machine now = machine();
    *count = static_cast<unsigned int>(now.gpus.size());
    return now.count_fails ? kUnknown : kSuccess;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void** handle) {
    *handle = handle_of(index);
    return with(*handle, [](const Gpu&) { return kSuccess; });
}

int nvmlDeviceGetUUID(void* handle, char* text, unsigned int length) {
    return with(handle, [&](const Gpu& gpu) { return put(gpu.uuid, text, length); });
}

int nvmlDeviceGetName(void* handle, char* text, unsigned int length) {
    return with(handle, [&](const Gpu& gpu) { return put(gpu.name, text, length); });
}

int nvmlDeviceGetMemoryInfo(void* handle, Memory* memory) {
    return with(handle, [&](const Gpu& gpu) {
        *memory = {gpu.total << 20, gpu.free << 20, (gpu.total - gpu.free) << 20};
        return gpu.unified ? kNotSupported : kSuccess;
    });
}

int nvmlDeviceGetComputeRunningProcesses_v3(void* handle, unsigned int* count, Process* rows) {
    return with(handle, [&](const Gpu& gpu) {
        const unsigned int room = *count;
        *count = static_cast<unsigned int>(gpu.processes.size());
        if (gpu.processes.size() > room) {
            return kInsufficientSize;
        }
        for (std::size_t i = 0; i < gpu.processes.size(); ++i) {
            rows[i] = gpu.processes[i];
            rows[i].used = gpu.hidden ? ~0ULL : rows[i].used;
        }
        return gpu.hidden && gpu.processes.empty() ? kNotSupported : kSuccess;
    });
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
