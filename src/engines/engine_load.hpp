// How busy an engine is that takes many requests at once, as it says itself. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace drover::engines {

struct EngineLoad {
    std::uint32_t running = 0;   ///< requests that it computes together
    std::uint32_t waiting = 0;   ///< requests for which it has no room yet
    double cache_used = 0;       ///< part of its KV cache, 0 to 1
    double prompt_tokens = 0;    ///< of all requests so far, cached ones included
    double prefill_seconds = 0;  ///< that those took, each from its first step to its first token
};

/// From vLLM's metrics, in Prometheus' text format; of several engine cores the sums, and the
/// fullest cache. Nullopt: they say nothing of requests.
std::optional<EngineLoad> read_vllm_load(std::string_view metrics);

}  // namespace drover::engines
