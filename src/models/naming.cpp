#include "models/naming.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/text.hpp"

namespace drover::models {

namespace {

constexpr std::size_t kSplitDigits = 5;
constexpr std::string_view kSplitMiddle = "-of-";
constexpr std::uint32_t kSplitFilesMax = 9999;

std::optional<std::uint32_t> parse_digits(std::string_view text) {
    std::uint32_t number = 0;
    for (const char c : text) {
        if (!is_digit(c)) {
            return std::nullopt;
        }
        number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    return number;
}

bool is_separator(char c) {
    return c == '-' || c == '.' || c == '_';
}

bool starts_with_any(std::string_view text, const auto& prefixes, std::string_view& found) {
    for (const std::string_view prefix : prefixes) {
        if (text.substr(0, prefix.size()) == prefix) {
            found = prefix;
            return true;
        }
    }
    return false;
}

/// True when a quantisation such as "q4_k_m", "ud-iq2_xxs" or "bf16" begins `text` (lower case) and
/// ends where the text or a part of it ends.
bool begins_with_quantisation(std::string_view text) {
    constexpr std::array<std::string_view, 2> kMakers{"ud-", "i1-"};
    constexpr std::array<std::string_view, 3> kFamilies{"iq", "tq", "q"};
    constexpr std::array<std::string_view, 9> kWhole{
        "bf16", "fp16", "fp32", "fp8", "f16", "f32", "f64", "mxfp4", "nvfp4"};
    std::string_view prefix;
    if (starts_with_any(text, kMakers, prefix)) {
        text.remove_prefix(prefix.size());
    }
    if (starts_with_any(text, kWhole, prefix)) {
        text.remove_prefix(prefix.size());
    } else if (starts_with_any(text, kFamilies, prefix) && text.size() > prefix.size() &&
               is_digit(text[prefix.size()])) {
        text.remove_prefix(prefix.size() + 1);
    } else {
        return false;
    }
    while (!text.empty() && text.front() == '_') {
        text.remove_prefix(1);
        while (!text.empty() && !is_separator(text.front())) {
            text.remove_prefix(1);
        }
    }
    return text.empty() || is_separator(text.front());
}

}  // namespace

std::string SplitName::stem_of(std::uint32_t other) const {
    std::array<char, 32> suffix{};
    std::snprintf(suffix.data(), suffix.size(), "-%05u-of-%05u", other, count);
    return base + suffix.data();
}

std::optional<SplitName> parse_split_name(std::string_view stem) {
    constexpr std::size_t kSuffix = 1 + kSplitDigits + kSplitMiddle.size() + kSplitDigits;
    if (stem.size() <= kSuffix) {
        return std::nullopt;
    }
    const std::string_view suffix = stem.substr(stem.size() - kSuffix);
    const auto part = parse_digits(suffix.substr(1, kSplitDigits));
    const auto count = parse_digits(suffix.substr(kSuffix - kSplitDigits));
    if (suffix.front() != '-' ||
        suffix.substr(1 + kSplitDigits, kSplitMiddle.size()) != kSplitMiddle || !part || !count ||
        *part == 0 || *part > *count || *count > kSplitFilesMax) {
        return std::nullopt;
    }
    return SplitName{std::string(stem.substr(0, stem.size() - kSuffix)), *part, *count};
}

std::string short_name(std::string_view stem) {
    std::string lower = to_lower(stem);
    const std::string_view text = lower;
    for (std::size_t i = 1; i + 1 < lower.size(); ++i) {
        if (is_separator(text[i]) && begins_with_quantisation(text.substr(i + 1))) {
            return lower.substr(0, i);
        }
    }
    return lower;
}

bool is_projector(std::string_view stem) {
    return to_lower(stem).find("mmproj") != std::string::npos;
}

}  // namespace drover::models
