// Which GPUs there are, what memory they have and who uses it: by NVIDIA's management library,
// which is loaded when it is there. Any thread; takes milliseconds, so for the blocking pool once
// the loop runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::platform {

/// One GPU at one moment.
struct Gpu {
    std::uint32_t index = 0;  ///< as the driver numbers them
    std::string uuid;         ///< "GPU-5d1b..."
    std::string name;         ///< "NVIDIA H100 PCIe"
    bool unified = false;     ///< it has no memory of its own: the host's is its
    Bytes total{};            ///< 0 when unified
    Bytes free{};
    /// What each process has of it. Unset: the driver does not tell, as within a container that has
    /// process numbers of its own.
    std::optional<std::map<pid_t, Bytes>> processes{};

    /// What these processes have together; nullopt when nobody knows.
    std::optional<Bytes> used_by(const std::vector<pid_t>& pids) const;
};

/// The library, loaded and at work.
class GpuProbe {
  public:
    /// Loads `library`, a path or a name that the loader finds. `not_found`: there is none;
    /// `unavailable`: it is there and does not work, with what it says.
    static Result<GpuProbe> open(const std::filesystem::path& library);

    GpuProbe(GpuProbe&&) noexcept;
    GpuProbe& operator=(GpuProbe&&) noexcept;
    ~GpuProbe();

    /// Those that answer. One that has fallen off the bus is left out. `unavailable`: the driver
    /// does not answer at all.
    Result<std::vector<Gpu>> gpus() const;

  private:
    struct Library;
    explicit GpuProbe(std::unique_ptr<Library> library);

    std::unique_ptr<Library> library_;
};

}  // namespace drover::platform
