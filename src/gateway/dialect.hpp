// Whose API a client speaks. Pure; any thread.
#pragma once

namespace drover::gateway {

/// Decides the shape of errors. Ollama's joins when its endpoints do.
enum class Dialect {
    openai,
    anthropic
};

}  // namespace drover::gateway
