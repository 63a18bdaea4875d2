#include "gateway/dialect/engine_error.hpp"

#include <algorithm>
#include <array>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"
#include "gateway/dialect/ollama_embedding.hpp"
#include "gateway/http_status.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// llama-server answers with 500 to much that is the client's fault: whatever it finds while it
/// reads a request, and inputs that do not fit into a batch. Client libraries repeat such requests.
bool is_clients_fault(std::string_view complaint) {
    static constexpr std::array<std::string_view, 13> kSigns{"is required",
                                                             "must be ",
                                                             "must not be ",
                                                             "is not supported",
                                                             "does not support",
                                                             "Unsupported param",
                                                             "Only no echo",
                                                             "Failed to load image",
                                                             "Failed to download image",
                                                             "Invalid base64",
                                                             "Cannot use both",
                                                             "Invalid token",
                                                             "\"json_schema\": "};
    return is_too_long(complaint) ||
           std::any_of(kSigns.begin(), kSigns.end(), [complaint](std::string_view sign) {
               return complaint.find(sign) != std::string_view::npos;
           });
}

unsigned right_status(unsigned status, std::string_view complaint) {
    const bool client = status == kHttpNotImplemented ||
                        (status == kHttpServerError && is_clients_fault(complaint));
    return client ? kHttpBadRequest : status;
}

std::string_view anthropic_type(unsigned status) {
    switch (status) {
        case kHttpNotFound:
            return "not_found_error";
        case kHttpTooLarge:
            return "request_too_large";
        case kHttpUnavailable:
            return "overloaded_error";
        default:  // any HTTP status
            return status < kHttpServerError ? "invalid_request_error" : "api_error";
    }
}

/// Programs that shorten a conversation and try again look for these words.
std::string anthropic_message(const json::value& error) {
    const std::string message(text_of(&error, "message"));
    const auto prompt = static_cast<long long>(number_of(&error, "n_prompt_tokens"));
    const auto context = static_cast<long long>(number_of(&error, "n_ctx"));
    return prompt > 0 && context > 0 ? "prompt is too long: " + std::to_string(prompt) +
                                           " tokens > " + std::to_string(context) + " maximum"
                                     : message;
}

json::object openai_error(const json::value& error, unsigned status) {
    json::object translated = error.get_object();
    const std::string_view type = text_of(&error, "type");
    const bool too_long =
        type == "exceed_context_size_error" || is_too_long(text_of(&error, "message"));
    // A text, as OpenAI has it; programs that shorten a conversation look for the first.
    translated["code"] = too_long                        ? "context_length_exceeded"
                         : type == "not_supported_error" ? "not_supported"
                         : type == "server_error" && status < kHttpServerError ? "invalid_request"
                                                                               : type;
    if (status < kHttpServerError) {
        translated["type"] = "invalid_request_error";
    }
    translated["param"] = nullptr;
    return translated;
}

}  // namespace

EngineError translate_engine_error(Dialect dialect, unsigned status, std::string_view body) {
    json::error_code failure;
    const json::value answer = json::parse(body, failure);
    const json::value* error = failure ? nullptr : member_of(&answer, "error");
    if (error == nullptr || !error->is_object()) {
        return {right_status(status, ""), std::string(body)};
    }
    EngineError translated{right_status(status, text_of(error, "message")), std::string(body)};
    switch (dialect) {
        case Dialect::openai:
            translated.body =
                json::serialize(json::object{{"error", openai_error(*error, translated.status)}});
            break;
        case Dialect::anthropic:
            translated.body = json::serialize(
                json::object{{"type", "error"},
                             {"error",
                              json::object{{"type", anthropic_type(translated.status)},
                                           {"message", anthropic_message(*error)}}}});
            break;
        case Dialect::ollama:
            translated.body = json::serialize(json::object{{"error", text_of(error, "message")}});
            break;
    }
    return translated;
}

}  // namespace drover::gateway::dialect
