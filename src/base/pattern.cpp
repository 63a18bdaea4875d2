#include "base/pattern.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include <re2/re2.h>

namespace drover {

namespace {

/// Of one expression, its automaton included: beyond it matching slows down to a linear-time search
/// without a cache, never to a backtracking one.
constexpr std::int64_t kMemoryMax = std::int64_t{4} << 20;

re2::StringPiece piece(std::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view expression) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kMemoryMax);
    auto compiled = std::make_shared<const re2::RE2>(piece(expression), options);
    if (!compiled->ok()) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(expression) +
                         "' is not a regular expression (RE2): " + compiled->error()};
    }
    return Pattern(std::move(compiled));
}

bool Pattern::found_in(std::string_view text) const {
    return re2::RE2::PartialMatch(piece(text), *compiled_);
}

bool Pattern::covers(std::string_view text) const {
    return re2::RE2::FullMatch(piece(text), *compiled_);
}

}  // namespace drover
