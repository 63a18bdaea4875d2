// OpenAI's `dimensions`: embeddings of which the first numbers are wanted. Pure; one thread at a
// time.
#pragma once

#include <cstddef>

#include "gateway/dialect/edited_answer.hpp"

namespace drover::gateway::dialect {

/// Cuts every embedding, a list or base64, and gives what is left the length 1, as OpenAI does. One
/// that is no longer than that stays as it is.
class ShortEmbeddings final : public EditedAnswer {
  public:
    explicit ShortEmbeddings(std::size_t dimensions) : dimensions_(dimensions) {}

  protected:
    bool edit(boost::json::object& answer) override;

  private:
    std::size_t dimensions_;
};

}  // namespace drover::gateway::dialect
