// A text that must not be shown: it has no operator<<, no implicit conversion. Pure; any thread.
#pragma once

#include <string>
#include <utility>

namespace drover {

/// A key or a password. Whoever needs the text says so by reveal(), so that a search finds all
/// places; logs, listings and messages are none of them.
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}

    bool empty() const { return text_.empty(); }
    const std::string& reveal() const { return text_; }

    bool operator==(const Secret&) const = default;

  private:
    std::string text_;
};

}  // namespace drover
