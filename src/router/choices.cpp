#include "router/choices.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "router/marks.hpp"

namespace drover::router {

namespace {

/// Different words are told apart up to this many.
constexpr std::size_t kWordsMax = 256;

/// Words that were there already are not counted again.
class WordSet {
  public:
    void add(std::uint64_t hash) {
        ++words_;
        std::size_t at = hash % slots_.size();
        while (slots_[at] != 0 && slots_[at] != hash) {
            at = (at + 1) % slots_.size();
        }
        if (slots_[at] == 0 && different_ < kWordsMax) {
            slots_[at] = hash;
            ++different_;
        }
    }
    std::size_t words() const { return words_; }
    std::size_t different() const { return different_; }

  private:
    std::array<std::uint64_t, 2 * kWordsMax> slots_{};
    std::size_t words_ = 0;
    std::size_t different_ = 0;
};

struct Choices {
    std::size_t count = 0;
    std::uint32_t with_number = 0;
    std::uint32_t numbers_only = 0;
    std::size_t bytes = 0;
    std::size_t longest = 0;
    std::size_t shortest = SIZE_MAX;
    WordSet words{};

    void add(std::string_view choice) {
        ++count;
        const auto is_letter = [](char c) {
            return to_lower(c) >= 'a' && to_lower(c) <= 'z';
        };
        if (std::any_of(choice.begin(), choice.end(), is_digit)) {
            ++with_number;
            numbers_only += std::none_of(choice.begin(), choice.end(), is_letter) ? 1U : 0U;
        }
        bytes += choice.size();
        longest = std::max(longest, choice.size());
        shortest = std::min(shortest, choice.size());
        while (!choice.empty()) {
            const std::string_view word = choice.substr(0, choice.find(' '));
            choice.remove_prefix(std::min(word.size() + 1, choice.size()));
            if (!word.empty()) {
                words.add(word_hash(word));
            }
        }
    }
};

/// Lengths in steps that each are about 1.6 times the one before.
std::uint32_t steps(double length) {
    return static_cast<std::uint32_t>(std::log2(length + 1) * 1.5);
}

}  // namespace

std::optional<ChoiceShape> choice_shape(std::string_view text) {
    constexpr std::size_t kMarkSize = 3;  // "A. "
    Choices choices;
    char letter = 'A';
    for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        text.remove_prefix(end + 1);
        const bool begins = text.size() > kMarkSize && text[0] == letter &&
                            (text[1] == '.' || text[1] == ')') && text[2] == ' ';
        if (begins) {
            const std::string_view line = text.substr(0, text.find('\n'));
            choices.add(line.substr(kMarkSize));
            ++letter;
        }
    }
    if (choices.count < 2) {
        return std::nullopt;
    }
    const auto longest = static_cast<double>(choices.longest);
    const auto shortest = static_cast<double>(choices.shortest);
    return ChoiceShape{choices.with_number,
                       choices.numbers_only,
                       steps(static_cast<double>(choices.bytes)),
                       steps(longest),
                       steps(2 * longest / (shortest + 1)),
                       steps(static_cast<double>(choices.words.words())),
                       static_cast<std::uint32_t>(10 * choices.words.different() /
                                                  std::max<std::size_t>(choices.words.words(), 1))};
}

}  // namespace drover::router
