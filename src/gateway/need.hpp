// What a request needs of a model, by its endpoint. Pure; any thread.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "control/fleet.hpp"

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

/// Whether the model can serve the endpoint at `path` at all. `invalid_argument` says what it does
/// instead, and what to do. What only its engine knows (another than llama.cpp) is left to that.
Status check_need(const control::ModelView& model, std::string_view path);

}  // namespace drover::gateway
