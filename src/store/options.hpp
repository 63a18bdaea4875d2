// From the configuration and the environment to what a pull needs. Any thread; reads small files.
#pragma once

#include "config/config.hpp"
#include "platform/paths.hpp"
#include "store/pull.hpp"

namespace drover::store {

/// The hub's token is that of its own tools: HF_TOKEN, else the file that `hf auth login` writes.
PullOptions pull_options(const config::StoreConfig& config,
                         const platform::Environment& environment);

}  // namespace drover::store
