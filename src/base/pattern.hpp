// Regular expressions whose time is linear in the text, whatever the expression: no client can make
// one hang the loop. RE2's syntax: no backreferences, no lookaround. Pure; any thread.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.hpp"

namespace re2 {
class RE2;
}

namespace drover {

/// A compiled expression. Copies share it.
class Pattern {
  public:
    /// `invalid_argument` says what is wrong with `expression`, or that it needs too much memory.
    static Result<Pattern> compile(std::string_view expression);

    /// Whether a part of `text` matches.
    bool found_in(std::string_view text) const;

    /// Whether `text` matches from its beginning to its end.
    bool covers(std::string_view text) const;

  private:
    explicit Pattern(std::shared_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}

    std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace drover
