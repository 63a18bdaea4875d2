// Models of servers elsewhere: from the configuration to what control needs, and how the servers
// are for the doctor.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/cli.hpp"
#include "config/config.hpp"
#include "control/remote_group.hpp"

namespace drover::app {

/// What control needs of one entry with `engine: remote`. Reads its key and its authorities, and
/// blocks on the disk. Errors name the setting; never the key.
Result<control::RemoteGroup> remote_group(const config::Config& config,
                                          const config::ModelEntry& entry);

/// All of them that can be used; the others are logged.
std::vector<control::RemoteGroup> remote_groups(const config::Config& config);

/// Asks every server for its models. Blocks until all have answered or taken too long.
std::vector<cli::Finding> check_remotes(const config::Config& config);

}  // namespace drover::app
