// The whole server as one call: builds every part, runs the loop, takes everything down again.
#pragma once

#include "config/config.hpp"

namespace drover::app {

/// Serves until SIGINT or SIGTERM, then stops gracefully; a second signal stops at once. Prints the
/// address on standard output when clients may come. Returns the exit status: 0, or 1 when the
/// server cannot start (the reason is printed).
int run_server(const config::Config& config);

}  // namespace drover::app
