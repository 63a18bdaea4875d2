#include "engines/engine_devices.hpp"

namespace drover::engines {

std::string visible_devices(const EngineDevices& devices) {
    std::string text = "CUDA_VISIBLE_DEVICES=";
    for (std::size_t i = 0; i < devices.gpus.size(); ++i) {
        text += (i == 0 ? "" : ",") + devices.gpus[i].uuid;
    }
    return text;
}

}  // namespace drover::engines
