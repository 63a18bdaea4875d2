#include "models/architectures.hpp"

#include <array>

namespace drover::models {

namespace {

constexpr Architecture encoder(std::string_view name) {
    Architecture arch{name};
    arch.cache = CacheKind::none;
    arch.encoder = true;
    return arch;
}

constexpr Architecture with_cache(std::string_view name, CacheKind cache) {
    Architecture arch{name};
    arch.cache = cache;
    return arch;
}

constexpr Architecture approximate(std::string_view name, CacheKind cache) {
    Architecture arch = with_cache(name, cache);
    arch.cache_exact = false;
    return arch;
}

constexpr Architecture sliding(std::string_view name,
                               SlidingWindow when,
                               std::uint32_t pattern,
                               bool dense_first = false,
                               std::uint32_t window = 0) {
    Architecture arch{name};
    arch.sliding = when;
    arch.pattern = pattern;
    arch.dense_first = dense_first;
    arch.window = window;
    return arch;
}

constexpr Architecture sliding_fixed(std::string_view name,
                                     SlidingWindow when,
                                     std::uint32_t pattern,
                                     bool dense_first,
                                     std::uint32_t window) {
    Architecture arch = sliding(name, when, pattern, dense_first, window);
    arch.window_fixed = true;
    return arch;
}

constexpr Architecture sliding_approximate(std::string_view name) {
    Architecture arch = sliding(name, SlidingWindow::always, 0);
    arch.cache_exact = false;
    return arch;
}

constexpr Architecture sliding_hybrid(std::string_view name) {
    Architecture arch = sliding(name, SlidingWindow::if_named, 0);
    arch.cache = CacheKind::hybrid;
    return arch;
}

constexpr Architecture sliding_encoder(std::string_view name) {
    Architecture arch = encoder(name);
    arch.sliding = SlidingWindow::if_named;
    arch.pattern = 3;
    arch.dense_first = true;
    return arch;
}

constexpr Architecture without_flash_attention(std::string_view name) {
    Architecture arch{name};
    arch.flash_attention = false;
    return arch;
}

using enum SlidingWindow;
using enum CacheKind;

constexpr std::array kArchitectures{
    encoder("bert"),
    encoder("eurobert"),
    encoder("gemma-embedding"),
    encoder("jina-bert-v2"),
    encoder("jina-bert-v3"),
    sliding_encoder("modern-bert"),
    encoder("neo-bert"),
    encoder("nomic-bert"),
    encoder("nomic-bert-moe"),
    encoder("t5encoder"),

    without_flash_attention("grok"),

    // Diffusion models and vocoders see the whole sequence at once and keep nothing.
    with_cache("dream", none),
    with_cache("llada", none),
    with_cache("llada-moe", none),
    with_cache("rnd1", none),
    with_cache("wavtokenizer-dec", none),

    with_cache("arwkv7", recurrent),
    with_cache("mamba", recurrent),
    with_cache("mamba2", recurrent),
    with_cache("rwkv6", recurrent),
    with_cache("rwkv6qwen2", recurrent),
    with_cache("rwkv7", recurrent),

    with_cache("bailingmoe3", hybrid),
    with_cache("falcon-h1", hybrid),
    with_cache("granitehybrid", hybrid),
    with_cache("jamba", hybrid),
    with_cache("kimi-k3", hybrid),
    with_cache("kimi-linear", hybrid),
    with_cache("lfm2moe", hybrid),
    with_cache("minimax-01", hybrid),
    with_cache("nemotron_h", hybrid),
    with_cache("nemotron_h_moe", hybrid),
    with_cache("plamo2", hybrid),
    with_cache("qwen35", hybrid),
    with_cache("qwen35moe", hybrid),
    with_cache("qwen3next", hybrid),
    with_cache("qwen4exp", hybrid),
    sliding_hybrid("lfm2"),

    approximate("t5", attention),
    sliding_approximate("dflash"),
    sliding_approximate("gemma4-assistant"),

    sliding("afmoe", if_named, 4),
    sliding("cohere2", always, 4),
    sliding("cohere2moe", always, 4, true),
    sliding("deepseek4", always, 0),
    sliding("dots3note", always, 0),
    sliding("exaone-moe", always, 4, false, 128),
    sliding("exaone4", always, 4, false, 4096),
    sliding("gemma2", always, 2, false, 4096),
    sliding("gemma3", if_named, 6),
    sliding("gemma3n", always, 5),
    sliding("gemma4", always, 0),
    sliding("gpt-oss", always, 2),
    sliding("granite_swa", always, 0),
    sliding("laguna", if_named, 4, true),
    sliding("maple", always, 0),
    sliding("mellum", if_named, 4),
    sliding("mimo2", always, 0),
    sliding("muse-glimmer", always, 4),
    sliding("olmo2", if_named, 4),
    sliding("plamo3", if_named, 8),
    sliding("spark2_5", always, 0),
    sliding("step35", always, 0),
    sliding_fixed("llama4", always, 4, false, 8192),
    sliding_fixed("smallthinker", if_named, 4, true, 4096),
};

}  // namespace

Architecture find_architecture(std::string_view name) {
    for (const Architecture& arch : kArchitectures) {
        if (arch.name == name) {
            return arch;
        }
    }
    return Architecture{name};
}

}  // namespace drover::models
