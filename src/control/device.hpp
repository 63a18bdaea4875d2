// A GPU that models may use. Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/units.hpp"
#include "memory/footprint.hpp"

namespace drover::control {

struct Device {
    /// Where its bytes are counted: memory::kHostDevice when it shares the host's memory.
    std::size_t slot = memory::kHostDevice;
    std::uint32_t index = 0;  ///< as the driver numbers them
    std::string uuid{};
    std::string name{};  ///< "NVIDIA H100 PCIe"
    Bytes total{};
    Bytes budget{};  ///< as configured, or what was free at the start less a reserve

    bool unified() const { return slot == memory::kHostDevice; }
    /// "GPU 0".
    std::string label() const { return "GPU " + std::to_string(index); }
};

}  // namespace drover::control
