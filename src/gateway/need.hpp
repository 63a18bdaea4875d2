// What a request needs of a model, by its endpoint. Pure; any thread.
#pragma once

#include <string_view>

namespace drover::gateway {

/// What an endpoint needs of a model.
enum class Need {
    generation,
    embedding,
    rerank
};

/// What the endpoint at `path` needs.
Need need_of(std::string_view path);

/// Which of config::kEndpointKinds the endpoint at `path` is.
std::string_view endpoint_kind(std::string_view path);

}  // namespace drover::gateway
