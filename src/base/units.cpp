#include "base/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/text.hpp"

namespace drover {

namespace {

struct Suffix {
    std::string_view text;
    double factor;
};

constexpr std::array<Suffix, 15> kByteSuffixes{{{"", 1.0},
                                                {"B", 1.0},
                                                {"K", 0x1p10},
                                                {"KiB", 0x1p10},
                                                {"KB", 1e3},
                                                {"M", 0x1p20},
                                                {"MiB", 0x1p20},
                                                {"MB", 1e6},
                                                {"G", 0x1p30},
                                                {"GiB", 0x1p30},
                                                {"GB", 1e9},
                                                {"T", 0x1p40},
                                                {"TiB", 0x1p40},
                                                {"TB", 1e12},
                                                {"b", 1.0}}};

constexpr std::array<Suffix, 5> kDurationSuffixes{
    {{"ms", 1.0}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};

/// The largest count that is accepted: what a double holds exactly, far above any machine.
constexpr double kCountMax = 0x1p53;

/// Takes a decimal number off the front of `text`; leaves `text` unchanged when there is none.
bool take_number(std::string_view& text, double& number) {
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(number)) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

Error bad_bytes(std::string_view text) {
    return {ErrorCode::invalid_argument,
            "'" + std::string(text) + "' is not a size; write for instance 12GiB, 512MiB or 4096"};
}

Error bad_duration(std::string_view text) {
    return {ErrorCode::invalid_argument,
            "'" + std::string(text) +
                "' is not a duration; write for instance 5m, 1h30m, 250ms, 300 (seconds), 0, or -1 "
                "for ever"};
}

}  // namespace

std::string to_string(Bytes bytes) {
    const auto magnitude = std::abs(static_cast<double>(bytes.count()));
    constexpr std::array<Suffix, 4> kShown{
        {{"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}}};
    for (const Suffix& suffix : kShown) {
        if (magnitude >= suffix.factor) {
            std::array<char, 48> text{};
            std::snprintf(text.data(),
                          text.size(),
                          "%.1f %.*s",
                          static_cast<double>(bytes.count()) / suffix.factor,
                          static_cast<int>(suffix.text.size()),
                          suffix.text.data());
            return text.data();
        }
    }
    return std::to_string(bytes.count()) + " B";
}

Result<Bytes> parse_bytes(std::string_view text) {
    std::string_view rest = text;
    double number = 0;
    if (!take_number(rest, number) || number < 0) {
        return bad_bytes(text);
    }
    while (!rest.empty() && rest.front() == ' ') {
        rest.remove_prefix(1);
    }
    for (const Suffix& suffix : kByteSuffixes) {
        if (equals_ignoring_case(rest, suffix.text)) {
            const double count = number * suffix.factor;
            if (count > kCountMax) {
                return bad_bytes(text);
            }
            return Bytes(static_cast<std::int64_t>(count));
        }
    }
    return bad_bytes(text);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::string_view rest = text;
    const bool negative = !rest.empty() && rest.front() == '-';
    if (negative) {
        rest.remove_prefix(1);
    }
    double total_ms = 0;
    double number = 0;
    bool any = false;
    while (!rest.empty()) {
        if (!take_number(rest, number) || number < 0) {
            return bad_duration(text);
        }
        if (rest.empty() && !any) {
            total_ms = number * 1e3;
            break;
        }
        const std::size_t unit_length = std::min(rest.find_first_of("0123456789."), rest.size());
        const std::string_view unit = rest.substr(0, unit_length);
        rest.remove_prefix(unit_length);
        double factor = 0;
        for (const Suffix& suffix : kDurationSuffixes) {
            if (suffix.text == unit) {
                factor = suffix.factor;
            }
        }
        if (factor == 0) {
            return bad_duration(text);
        }
        total_ms += number * factor;
        any = true;
    }
    if ((text.size() == (negative ? 1U : 0U)) || total_ms > kCountMax) {
        return bad_duration(text);
    }
    const auto count = static_cast<std::int64_t>(std::llround(total_ms));
    return std::chrono::milliseconds(negative ? -count : count);
}

std::string to_string(std::chrono::milliseconds duration) {
    std::int64_t ms = duration.count();
    if (ms < 0) {
        return "for ever";
    }
    if (ms < 1000 || ms % 1000 != 0) {
        return std::to_string(ms) + "ms";
    }
    const std::int64_t seconds = ms / 1000;
    std::string text;
    const auto append = [&text](std::int64_t count, const char* unit) {
        if (count != 0) {
            text += std::to_string(count) + unit;
        }
    };
    append(seconds / 3600, "h");
    append(seconds / 60 % 60, "m");
    append(seconds % 60, "s");
    return text;
}

}  // namespace drover
