// Log-probabilities of /v1/completions in the shape that OpenAI's completions have. Pure; one
// thread at a time.
#pragma once

#include <cstdint>
#include <map>

#include "gateway/dialect/edited_answer.hpp"

namespace drover::gateway::dialect {

/// The engine tells them as chats do: a list of tokens with all that is known of each. Completions
/// have four lists: tokens, their log-probabilities, those of the best at each place, and where in
/// the text, counted in characters, each begins.
class CompletionLogprobs final : public EditedAnswer {
  protected:
    bool edit(boost::json::object& answer) override;

  private:
    std::map<std::int64_t, std::int64_t> offsets_;  ///< of each choice's next token
};

}  // namespace drover::gateway::dialect
