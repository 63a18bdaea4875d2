// What llama-server's answers lack of the shape that clients of OpenAI and Anthropic expect. Pure;
// one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "gateway/dialect/answer_translator.hpp"

namespace drover::gateway::dialect {

/// What completes the answer to a request of `body` that came to `path`; null: nothing is to be
/// done to it. `model` is what the client calls the model, `now_s` the time since 1970. An answer
/// that has the shape already stays as it is.
std::unique_ptr<AnswerTranslator> shape_of_answer(std::string_view path,
                                                  std::string_view body,
                                                  std::string_view model,
                                                  std::int64_t now_s);

}  // namespace drover::gateway::dialect
