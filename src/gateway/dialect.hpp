// Whose API a client speaks. Pure; any thread.
#pragma once

namespace drover::gateway {

/// Decides the shape of errors.
enum class Dialect {
    openai,
    anthropic,
    ollama
};

}  // namespace drover::gateway
