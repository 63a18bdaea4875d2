// The checks of `drover doctor` that look at the machine: engine, memory, models, address.
#pragma once

#include <vector>

#include "cli/cli.hpp"
#include "config/config.hpp"

namespace drover::app {

std::vector<cli::Finding> diagnose(const config::Config& config);

}  // namespace drover::app
