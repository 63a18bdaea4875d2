// Words that tell code and mathematics from talk, whatever a predictor has been trained on. Pure;
// any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace drover::router {

/// What a word is a mark of. Written down by hand: a few hundred examples cannot teach them.
enum class Mark : std::uint8_t {
    none,
    syntax,    ///< words of programming languages that prose hardly has: def, elif, nullptr
    software,  ///< words about software: python, compiler, regex
    formal,    ///< words of mathematics: integral, triangle, divisible
    quantity,  ///< words of sums in words: altogether, per, dollars
    number,    ///< numbers in words, but one, which is more often no number
};
inline constexpr std::size_t kMarks = 6;

/// `hash` is word_hash() of a word in lower case.
Mark mark_of(std::uint64_t hash);

inline constexpr std::uint64_t kWordBasis = 14695981039346656037ULL;

/// One more byte of a hash (FNV-1a).
constexpr std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
    return (hash ^ value) * 1099511628211ULL;
}

constexpr std::uint64_t word_hash(std::string_view word) {
    std::uint64_t hash = kWordBasis;
    for (const char c : word) {
        hash = mixed(hash, static_cast<unsigned char>(c));
    }
    return hash;
}

}  // namespace drover::router
