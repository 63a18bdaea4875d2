// How the text of a setting gets into its member: shared by the tables of all settings. Pure; any
// thread.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::config {

/// Reads a whole number in [low, high]; `what` completes "is not ...".
template <typename Number>
Result<Number> parse_number(std::string_view text,
                            std::int64_t low,
                            std::int64_t high,
                            std::string_view what) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < low || number > high) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "' is not " + std::string(what) +
                         "; write a whole number from " + std::to_string(low) + " to " +
                         std::to_string(high)};
    }
    return static_cast<Number>(number);
}

inline Result<std::chrono::milliseconds> parse_positive_duration(std::string_view text) {
    auto duration = parse_duration(text);
    if (duration.ok() && duration->count() <= 0) {
        return Error{
            ErrorCode::invalid_argument,
            "'" + std::string(text) + "' is not a positive duration; write for instance 30s or 5m"};
    }
    return duration;
}

/// Stores what `parse` makes of the text in the member that `place` gives.
template <typename Owner, typename Place, typename Parse>
std::function<Status(Owner&, std::string_view)> setter(Place place, Parse parse) {
    return [place, parse](Owner& owner, std::string_view text) -> Status {
        auto value = parse(text);
        if (!value.ok()) {
            return value.error();
        }
        place(owner) = std::move(*value);
        return {};
    };
}

}  // namespace drover::config
