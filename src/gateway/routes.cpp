#include "gateway/routes.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "base/assert.hpp"

namespace drover::gateway {

namespace {

using enum Dialect;
using enum Method;

// The whole route table, sorted by path.
//
// Engine endpoints that are not here are not offered, each for a reason:
//   POST /slots/{id}         saves and restores files of the engine and erases KV that others use
//   POST /lora-adapters      changes the model for everybody who uses the instance
//   POST /props              the same
//   POST /models/load, /models/unload, /models; DELETE /models; GET /models/sse
//                            the engine's own router; Drover is the router here (/admin/load ...)
//   /v1/stream*, /v1/chat/completions/control
//                            streams that outlive their client would keep an instance without a
//                            lease
//   /tools, /cors-proxy      run programs and fetch URLs on this machine
// Two requests about one instance can meet different instances of a model, since it may have left
// in between: that is why only whole requests are forwarded.
constexpr Route kRoutes[] = {
    {"/", get, Action::greeting, ModelFrom::nowhere, openai},
    {"/admin/load", post, Action::admin_load, ModelFrom::json, openai},
    {"/admin/models", get, Action::admin_models, ModelFrom::nowhere, openai},
    {"/admin/plan", post, Action::admin_plan, ModelFrom::json, openai},
    {"/admin/ps", get, Action::admin_ps, ModelFrom::nowhere, openai},
    {"/admin/refresh", post, Action::admin_refresh, ModelFrom::nowhere, openai},
    {"/admin/unload", post, Action::admin_unload, ModelFrom::json, openai},
    {"/api/chat", post, Action::ollama_chat, ModelFrom::json, ollama},
    {"/api/copy", post, Action::ollama_copy, ModelFrom::json, ollama},
    {"/api/create", post, Action::ollama_create, ModelFrom::json, ollama},
    {"/api/delete", remove, Action::ollama_delete, ModelFrom::json, ollama},
    {"/api/embed", post, Action::ollama_embed, ModelFrom::json, ollama},
    {"/api/embeddings", post, Action::ollama_embeddings, ModelFrom::json, ollama},
    {"/api/generate", post, Action::ollama_generate, ModelFrom::json, ollama},
    {"/api/ps", get, Action::ollama_ps, ModelFrom::nowhere, ollama},
    {"/api/pull", post, Action::ollama_pull, ModelFrom::json, ollama},
    {"/api/push", post, Action::ollama_push, ModelFrom::json, ollama},
    {"/api/show", post, Action::ollama_show, ModelFrom::json, ollama},
    {"/api/tags", get, Action::ollama_tags, ModelFrom::nowhere, ollama},
    {"/api/version", get, Action::ollama_version, ModelFrom::nowhere, ollama},
    {"/apply-template", post, Action::forward, ModelFrom::json, openai},
    {"/audio/transcriptions", post, Action::forward, ModelFrom::form, openai},
    {"/chat/completions", post, Action::forward, ModelFrom::json, openai},
    {"/chat/completions/input_tokens", post, Action::forward, ModelFrom::json, openai},
    {"/completion", post, Action::forward, ModelFrom::json, openai},
    {"/completions", post, Action::forward, ModelFrom::json, openai},
    {"/detokenize", post, Action::forward, ModelFrom::json, openai},
    {"/embedding", post, Action::forward, ModelFrom::json, openai},
    {"/embeddings", post, Action::forward, ModelFrom::json, openai},
    {"/health", get, Action::health, ModelFrom::nowhere, openai},
    {"/infill", post, Action::forward, ModelFrom::json, openai},
    {"/lora-adapters", get, Action::inspect, ModelFrom::query, openai},
    {"/metrics", get, Action::metrics, ModelFrom::query, openai},
    {"/models", get, Action::list_models, ModelFrom::nowhere, openai},
    {"/props", get, Action::inspect, ModelFrom::query, openai},
    {"/rerank", post, Action::forward, ModelFrom::json, openai},
    {"/reranking", post, Action::forward, ModelFrom::json, openai},
    {"/responses", post, Action::forward, ModelFrom::json, openai},
    {"/responses/input_tokens", post, Action::forward, ModelFrom::json, openai},
    {"/score", post, Action::forward, ModelFrom::json, openai},
    {"/slots", get, Action::inspect, ModelFrom::query, openai},
    {"/tokenize", post, Action::forward, ModelFrom::json, openai},
    {"/v1/audio/transcriptions", post, Action::forward, ModelFrom::form, openai},
    {"/v1/chat/completions", post, Action::forward, ModelFrom::json, openai},
    {"/v1/chat/completions/input_tokens", post, Action::forward, ModelFrom::json, openai},
    {"/v1/completions", post, Action::forward, ModelFrom::json, openai},
    {"/v1/embeddings", post, Action::forward, ModelFrom::json, openai},
    {"/v1/feedback", post, Action::feedback, ModelFrom::json, openai},
    {"/v1/health", get, Action::health, ModelFrom::nowhere, openai},
    {"/v1/messages", post, Action::forward, ModelFrom::json, anthropic},
    {"/v1/messages/count_tokens", post, Action::forward, ModelFrom::json, anthropic},
    {"/v1/models", get, Action::list_models, ModelFrom::nowhere, openai},
    {"/v1/rerank", post, Action::forward, ModelFrom::json, openai},
    {"/v1/reranking", post, Action::forward, ModelFrom::json, openai},
    {"/v1/responses", post, Action::forward, ModelFrom::json, openai},
    {"/v1/responses/input_tokens", post, Action::forward, ModelFrom::json, openai},
    {"/v1/route", post, Action::explain_route, ModelFrom::json, openai},
    {"/v1/score", post, Action::forward, ModelFrom::json, openai},
};
static_assert(std::is_sorted(std::begin(kRoutes),
                             std::end(kRoutes),
                             [](const Route& a, const Route& b) { return a.path < b.path; }));

/// A model's name may contain slashes, so these take the whole rest of the path.
constexpr Route kPrefixRoutes[] = {
    {"/api/blobs/", get, Action::ollama_blob, ModelFrom::nowhere, ollama, true},
    {"/api/blobs/", post, Action::ollama_blob, ModelFrom::nowhere, ollama, true},
    {"/models/", get, Action::show_model, ModelFrom::nowhere, openai, true},
    {"/v1/models/", get, Action::show_model, ModelFrom::nowhere, openai, true},
};

/// The routes for `path`, one for each method.
std::vector<const Route*> routes_of(std::string_view path) {
    const auto found = std::lower_bound(
        std::begin(kRoutes),
        std::end(kRoutes),
        path,
        [](const Route& route, std::string_view wanted) { return route.path < wanted; });
    if (found != std::end(kRoutes) && found->path == path) {
        return {found};
    }
    std::vector<const Route*> routes;
    for (const Route& route : kPrefixRoutes) {
        if (path.size() > route.path.size() && path.starts_with(route.path)) {
            routes.push_back(&route);
        }
    }
    return routes;
}

}  // namespace

const Route* find_route(std::string_view path, Method method) {
    const Method wanted = method == head ? get : method;
    for (const Route* route : routes_of(path)) {
        if (route->method == wanted) {
            return route;
        }
    }
    return nullptr;
}

bool can_be_routed(std::string_view path) {
    const Route* route = find_route(path, post);
    if (route == nullptr) {
        return false;
    }
    const bool of_ollama =
        route->action == Action::ollama_chat || route->action == Action::ollama_generate ||
        route->action == Action::ollama_embed || route->action == Action::ollama_embeddings;
    return of_ollama || (forwards(route->action) && (route->model_from == ModelFrom::json ||
                                                     route->model_from == ModelFrom::form));
}

std::string_view allowed_methods(std::string_view path) {
    const std::vector<const Route*> routes = routes_of(path);
    if (routes.empty()) {
        return {};
    }
    if (routes.size() > 1) {
        return "GET, HEAD, POST, OPTIONS";
    }
    switch (routes.front()->method) {
        case post:
            return "POST, OPTIONS";
        case remove:
            return "DELETE, OPTIONS";
        case get:
        case head:
        case options:
        case other:
            return "GET, HEAD, OPTIONS";
    }
    DROVER_UNREACHABLE();
}

bool goes_to_disk(std::string_view path, Method method) {
    const Route* route = method == post ? find_route(path, method) : nullptr;
    return route != nullptr && route->action == Action::ollama_blob;
}

std::string_view why_not_offered(std::string_view path) {
    struct Reason {
        std::string_view prefix;
        std::string_view why;
    };
    constexpr std::string_view kNothingKept = "no files, jobs or conversations are kept here";
    constexpr Reason kReasons[] = {
        {"/v1/moderations", "no model judges here what may be said; leave this step out"},
        {"/v1/audio/speech", "no engine here speaks; /v1/audio/transcriptions listens"},
        {"/v1/audio/translations", "/v1/audio/transcriptions is what there is"},
        {"/v1/images", "no engine here makes pictures"},
        {"/v1/files", kNothingKept},
        {"/v1/batches", kNothingKept},
        {"/v1/messages/batches", kNothingKept},
        {"/v1/fine_tuning", "nothing is trained here"},
        {"/v1/assistants", kNothingKept},
        {"/v1/threads", kNothingKept},
        {"/v1/responses/", kNothingKept},
        {"/v1/conversations", kNothingKept},
        {"/v1/vector_stores", kNothingKept},
    };
    for (const Reason& reason : kReasons) {
        if (path.starts_with(reason.prefix)) {
            return reason.why;
        }
    }
    return {};
}

Dialect dialect_of(std::string_view path) {
    return path.starts_with("/v1/messages") ? anthropic
           : path.starts_with("/api/")      ? ollama
                                            : openai;
}

}  // namespace drover::gateway
