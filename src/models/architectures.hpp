// What the engine knows about an architecture and a GGUF file does not say: which layers slide, and
// what kind of cache it keeps. After llama.cpp v0.5.0. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "models/model_facts.hpp"

namespace drover::models {

/// When an architecture has sliding-window layers at all.
enum class SlidingWindow {
    never,     ///< also when the file names a window
    if_named,  ///< when the file names a window above zero
    always,
};

/// One architecture's peculiarities. What is not listed is a plain decoder.
struct Architecture {
    std::string_view name;
    CacheKind cache = CacheKind::attention;
    bool encoder = false;  ///< not causal: made for embeddings
    bool cache_exact = true;
    SlidingWindow sliding = SlidingWindow::never;
    std::uint32_t pattern =
        0;  ///< every so-many-th layer is dense; 0: all slide; the file may override
    bool dense_first = false;   ///< the dense one is the first of each group, not the last
    std::uint32_t window = 0;   ///< when the file names none
    bool window_fixed = false;  ///< `window` wins over the file
    bool flash_attention = true;
};

/// Never fails: an unknown architecture is a plain decoder.
Architecture find_architecture(std::string_view name);

}  // namespace drover::models
