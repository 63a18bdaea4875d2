// Texts of settings that need more than a number's or a size's reading. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace drover::config {

/// A type of cached keys or values as the engine spells it. `invalid_argument` lists them.
Result<std::string> parse_cache_type(std::string_view text);

/// "https://HOST" or "http://HOST", without a slash at its end.
Result<std::string> parse_web_address(std::string_view text);

/// "auto", "host", or GPUs by number or UUID: "0", "0,1", "GPU-5d1b".
Result<DeviceChoice> parse_device(std::string_view text);

/// "auto", "all" or a number.
Result<GpuLayers> parse_gpu_layers(std::string_view text);
/// "true", "false", "1", "2".
Result<SleepLevel> parse_sleep(std::string_view text);

/// "0=20GiB,1=auto": of some GPUs.
Result<std::vector<GpuBudget>> parse_gpu_budgets(std::string_view text);

}  // namespace drover::config
