// `drover show`: everything that is known of one model, as text.
#pragma once

#include <string>

#include "base/result.hpp"
#include "config/config.hpp"

namespace drover::app {

/// Reads the disk; needs no server. `not_found` names the nearest models.
Result<std::string> describe(const config::Config& config, const std::string& name);

}  // namespace drover::app
