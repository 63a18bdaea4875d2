// Which request goes where. Pure; any thread.
#pragma once

#include <string_view>

#include "gateway/dialect.hpp"
#include "gateway/request.hpp"

namespace drover::gateway {

/// What answers a request.
enum class Action {
    forward,  ///< the engine of the model that the request names
    inspect,  ///< the same, but never loads a model
    metrics,  ///< Drover's own, or `inspect` when a model is named
    greeting,
    health,
    list_models,
    show_model,  ///< the rest of the path is the model's name
    admin_models,
    admin_ps,
    admin_plan,
    admin_load,
    admin_refresh,
    admin_unload,
    explain_route,  ///< which model would answer, and why
    feedback,       ///< what somebody says of an answer
    ollama_version,
    ollama_tags,
    ollama_ps,
    ollama_show,
    ollama_chat,
    ollama_generate,
    ollama_embed,
    ollama_embeddings,
    ollama_blob,  ///< the rest of the path is its digest
    ollama_copy,
    ollama_create,
    ollama_delete,
    ollama_pull,
    ollama_push,
};

/// Answered by an engine.
constexpr bool forwards(Action action) {
    return action == Action::forward || action == Action::inspect || action == Action::metrics;
}

/// Answered by session_library.cpp.
constexpr bool changes_library(Action action) {
    return action == Action::ollama_copy || action == Action::ollama_create ||
           action == Action::ollama_delete || action == Action::ollama_pull ||
           action == Action::ollama_push;
}

/// Answered from the whole JSON body.
constexpr bool needs_document(Action action) {
    return changes_library(action) || action == Action::admin_plan || action == Action::feedback ||
           action == Action::ollama_show || action == Action::ollama_chat ||
           action == Action::ollama_generate || action == Action::ollama_embed ||
           action == Action::ollama_embeddings;
}

/// Where a request names its model.
enum class ModelFrom {
    nowhere,
    json,
    form,
    query
};

struct Route {
    std::string_view path;
    Method method;  ///< get also stands for HEAD
    Action action;
    ModelFrom model_from;
    Dialect dialect;
    bool prefix = false;  ///< `path` is only the beginning
};

/// The route for `path` and `method`, or null. HEAD finds the routes of GET.
const Route* find_route(std::string_view path, Method method);

/// Whether requests to `path` are answered by the model that their body names, so that they may
/// name a route.
bool can_be_routed(std::string_view path);

/// The methods that `path` understands, for Allow; empty when nothing has this path.
std::string_view allowed_methods(std::string_view path);

/// Whether the body of such a request goes to the disk as it comes, so that only the disk bounds
/// it.
bool goes_to_disk(std::string_view path, Method method);

/// Why a path that clients of OpenAI know is not offered; empty when there is nothing to say.
std::string_view why_not_offered(std::string_view path);

/// Whose errors a path's clients understand, known or not.
Dialect dialect_of(std::string_view path);

}  // namespace drover::gateway
