// What is on the disk without anybody having told Drover: its own store, Ollama's, the cache of the
// Hugging Face hub's tools, LM Studio's folder. Only reads. Blocks; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "models/candidate.hpp"
#include "models/registry.hpp"
#include "platform/paths.hpp"

namespace drover::store {

/// All of them, under the names that their users know: "qwen3:8b" from Ollama,
/// "ORG/REPO:Q4_K_M" from the hub's cache, "qwen3-8b" or "qwen3-8b@q4_k_m" from LM Studio. What
/// cannot be used is in the list with its reason; what is wrong with a store as a whole is added to
/// `problems`.
std::vector<models::Candidate> discover(const config::Config& config,
                                        const platform::Environment& environment,
                                        std::vector<std::string>& problems);

/// Of the configured references those that the hub's tools, vLLM among them, have fetched already:
/// each with the folder of the snapshot that "main" means.
models::Snapshots fetched_references(const config::Config& config,
                                     const platform::Environment& environment);

/// The folders whose change may mean that there are other models.
std::vector<std::filesystem::path> places(const config::Config& config,
                                          const platform::Environment& environment);

}  // namespace drover::store
