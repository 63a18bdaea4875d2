// Requests of other APIs as chat completions, and the answers back: for servers that speak only
// those, and where an answer must tell log-probabilities. Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <boost/json/object.hpp>

#include "base/result.hpp"
#include "gateway/dialect/answer_translator.hpp"

namespace drover::gateway::dialect {

inline constexpr std::string_view kChatPath = "/v1/chat/completions";

/// Whether what comes to `path` can be asked so: Anthropic's messages and OpenAI's responses.
bool has_chat_form(std::string_view path);

/// The body of the chat completion that asks the same as `body`, without a model's name.
/// `invalid_argument` names what a chat completion cannot say. REQUIRES: has_chat_form(path).
Result<boost::json::object> chat_form(std::string_view path, std::string_view body);

/// Makes of that chat completion's answer what the client of `path` expects; the other arguments
/// are as for shape_of_answer(). REQUIRES: chat_form(path, body) succeeds.
std::unique_ptr<AnswerTranslator> answer_from_chat(std::string_view path,
                                                   std::string_view body,
                                                   std::string_view model,
                                                   std::int64_t now_s);

}  // namespace drover::gateway::dialect
