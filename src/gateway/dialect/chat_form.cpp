#include "gateway/dialect/chat_form.hpp"

#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/assert.hpp"
#include "gateway/dialect/anthropic_answer.hpp"
#include "gateway/dialect/anthropic_request.hpp"
#include "gateway/dialect/responses_of_chat.hpp"
#include "gateway/dialect/responses_request.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

bool is_anthropic(std::string_view path) {
    return path == "/v1/messages";
}

bool is_responses(std::string_view path) {
    return path == "/v1/responses" || path == "/responses";
}

}  // namespace

bool has_chat_form(std::string_view path) {
    return is_anthropic(path) || is_responses(path);
}

Result<json::object> chat_form(std::string_view path, std::string_view body) {
    DROVER_ASSERT(has_chat_form(path));
    json::error_code failed;
    const json::value request = json::parse(body, failed);
    if (failed || !request.is_object()) {
        return Error{ErrorCode::invalid_argument, "the body is no JSON object"};
    }
    return is_anthropic(path) ? openai_chat_of_anthropic(request.get_object())
                              : openai_chat_of_responses(request.get_object());
}

std::unique_ptr<AnswerTranslator> answer_from_chat(std::string_view path,
                                                   std::string_view body,
                                                   std::string_view model,
                                                   std::int64_t now_s) {
    DROVER_ASSERT(has_chat_form(path));
    if (is_anthropic(path)) {
        return std::make_unique<AnthropicAnswer>(model);
    }
    return std::make_unique<ResponsesOfChat>(
        std::move(json::parse(body).get_object()), model, now_s);
}

}  // namespace drover::gateway::dialect
