// What llama-server is passed on with `extra_args`: some of it must be a setting instead, so that
// what it takes is counted. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace drover::config {

/// `invalid_argument` names each option that Drover has a setting for, and that setting.
Status check_passed_on(const std::vector<std::string>& extra_args);

/// Those that change what a model takes in a way that nobody counts, as they are written.
std::vector<std::string> uncounted(const std::vector<std::string>& extra_args);

}  // namespace drover::config
