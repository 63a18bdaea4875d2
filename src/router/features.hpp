// From a prompt to numbers: hashed words, word pairs and pieces of words, the shape of choices, and
// a few measures of the text's surface. Needs no vocabulary, so nothing is fitted here. Pure; a
// Featurizer is used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "router/choices.hpp"
#include "router/marks.hpp"

namespace drover::router {

/// One hashed feature: how often something whose hash is `bucket` occurs.
struct Feature {
    std::uint32_t bucket;
    float value;
};

/// Measures of the surface: lengths, shares of kinds of characters, marks of code and mathematics.
inline constexpr std::size_t kSurfaceSize = 32;

/// A prompt as numbers. Its memory is reused.
struct FeatureVector {
    std::vector<Feature> hashed;                ///< each bucket once, in order of first occurrence
    std::array<float, kSurfaceSize> surface{};  ///< about 0 to 1 each
    std::array<float, kChoiceMeasures> choices{};  ///< their shape; -1 each: it has none

    void clear() {
        hashed.clear();
        surface.fill(0.0F);
        choices.fill(-1.0F);
    }
};

/// How many features ahead the processor is told to fetch what it will need from a table with a row
/// for each bucket, which is larger than the caches that are near to it.
inline constexpr std::size_t kFetchAhead = 16;

struct FeatureOptions {
    std::uint32_t bits = 16;   ///< 2^bits buckets
    std::uint32_t words = 2;   ///< words that follow each other: up to this many, 3 at most
    std::uint32_t pieces = 4;  ///< pieces of words of 3 up to this many characters; below 3: none

    friend bool operator==(const FeatureOptions&, const FeatureOptions&) = default;
};

/// Longer prompts count with their beginning and their end only, which is where a task is stated:
/// so that a decision takes a bounded time.
inline constexpr std::size_t kTextHead = 6 * 1024;
inline constexpr std::size_t kTextTail = 2 * 1024;

class Featurizer {
  public:
    explicit Featurizer(FeatureOptions options);

    /// Replaces `out` by the features of `text`, which may be any bytes. Time is linear in the text
    /// up to kTextHead + kTextTail bytes; no memory is allocated once `out` and the Featurizer have
    /// grown.
    void read(std::string_view text, FeatureVector& out);

    /// The same into memory of its own; valid until the next call.
    const FeatureVector& read(std::string_view text) {
        read(text, own_);
        return own_;
    }

    const FeatureOptions& options() const { return options_; }

  private:
    void read_part(std::string_view text);
    void add_word(std::string_view word);
    void add_choices(std::string_view text, FeatureVector& out);
    void count_mark(std::uint64_t hash);
    void add(std::uint64_t hash);
    void count(FeatureVector& out);

    FeatureOptions options_;
    std::uint32_t mask_;
    std::vector<std::uint32_t> buckets_;  ///< of the text, as often as they occur
    std::vector<std::uint32_t> places_;   ///< bucket -> 1 + its place in `out`; all 0 between calls
    FeatureVector own_;
    std::uint64_t before_ = 0;  ///< hash of the word before
    std::uint64_t before_that_ = 0;
    std::array<std::uint32_t, kMarks> marks_{};
    std::uint32_t amounts_asked_ = 0;  ///< "how many", "how old", ...
};

}  // namespace drover::router
