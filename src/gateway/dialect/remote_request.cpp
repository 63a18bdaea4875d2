#include "gateway/dialect/remote_request.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/model_rewrite.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

constexpr std::string_view kPaths[] = {"/v1/audio/transcriptions",
                                       "/v1/chat/completions",
                                       "/v1/completions",
                                       "/v1/embeddings",
                                       "/v1/rerank"};

/// Of llama-server, vLLM and other Drovers.
constexpr std::string_view kBeside[] = {"/apply-template",
                                        "/chat/completions/input_tokens",
                                        "/completion",
                                        "/detokenize",
                                        "/infill",
                                        "/responses/input_tokens",
                                        "/score",
                                        "/tokenize",
                                        "/v1/chat/completions/input_tokens",
                                        "/v1/messages/count_tokens",
                                        "/v1/responses/input_tokens",
                                        "/v1/score"};

/// What a translated request may have of the members of OpenAI's.
constexpr std::string_view kMembers[] = {"dimensions",
                                         "encoding_format",
                                         "frequency_penalty",
                                         "input",
                                         "logprobs",
                                         "max_tokens",
                                         "messages",
                                         "parallel_tool_calls",
                                         "presence_penalty",
                                         "prompt",
                                         "reasoning_effort",
                                         "response_format",
                                         "seed",
                                         "stop",
                                         "stream",
                                         "stream_options",
                                         "temperature",
                                         "tool_choice",
                                         "tools",
                                         "top_logprobs",
                                         "top_p"};
static_assert(std::is_sorted(std::begin(kMembers), std::end(kMembers)));

bool is_negative(const json::value* value) {
    return value != nullptr && value->is_int64() && value->get_int64() < 0;
}

json::object openai_members(const json::object& body) {
    json::object kept;
    for (const auto& [name, value] : body) {
        if (std::binary_search(std::begin(kMembers),
                               std::end(kMembers),
                               std::string_view(name.data(), name.size()))) {
            kept.emplace(name, value);
        }
    }
    if (const json::value* limit = body.if_contains("n_predict");
        limit != nullptr && !is_negative(limit)) {
        kept["max_tokens"] = *limit;
    }
    json::value* messages = kept.if_contains("messages");
    if (messages != nullptr && messages->is_array()) {
        for (json::value& message : messages->get_array()) {
            if (message.is_object()) {
                message.get_object().erase("reasoning_content");  // llama-server's
            }
        }
    }
    if (is_negative(kept.if_contains("seed"))) {
        kept.erase("seed");  // "any", in the words of our engine
    }
    return kept;
}

}  // namespace

std::string_view openai_path(std::string_view path) {
    if (path == "/reranking" || path == "/v1/reranking") {
        path = "/v1/rerank";
    }
    const auto found = std::find_if(std::begin(kPaths), std::end(kPaths), [&](auto one) {
        return one == path || one.substr(3) == path;
    });
    return found == std::end(kPaths) ? std::string_view() : *found;
}

bool is_beside_openai(std::string_view path) {
    return std::find(std::begin(kBeside), std::end(kBeside), path) != std::end(kBeside);
}

std::string remote_body(std::string_view body, std::string_view model, bool translated) {
    const bool plain = !translated && body.find("\"keep_alive\"") == std::string_view::npos;
    if (plain) {
        if (auto rewritten = with_model(body, model); rewritten.has_value()) {
            return *std::move(rewritten);
        }
    }
    json::error_code failed;
    json::value document = json::parse(body, failed);
    if (failed || !document.is_object()) {
        return std::string(body);
    }
    json::object& object = document.get_object();
    if (translated) {
        return remote_body(std::move(object), model);
    }
    object.erase("keep_alive");
    object["model"] = model;
    return json::serialize(object);
}

std::string remote_body(json::object translated, std::string_view model) {
    json::object body = openai_members(translated);
    body["model"] = model;
    return json::serialize(body);
}

}  // namespace drover::gateway::dialect
