// The devices that an engine is told to use. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace drover::engines {

/// One GPU that an engine is to use.
struct EngineGpu {
    std::string uuid;
    std::uint32_t layers = 0;  ///< of llama.cpp; the output is one
    double share = 0;          ///< of its memory, from 0 to 1, that is granted
};

struct EngineDevices {
    std::vector<EngineGpu> gpus;  ///< in the order in which layers follow; none: the host alone
    bool whole = true;            ///< no layer is on the host
};

/// "CUDA_VISIBLE_DEVICES=...": by UUID, for numbers depend on who counts. Without a GPU it names
/// none, so that the engine takes memory of none.
std::string visible_devices(const EngineDevices& devices);

}  // namespace drover::engines
