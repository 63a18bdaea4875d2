#include "gateway/dialect/clock.hpp"

#include <array>
#include <chrono>
#include <cstdio>

namespace drover::gateway::dialect {

std::string rfc3339(std::int64_t wall_ms) {
    using std::chrono::days;
    using std::chrono::milliseconds;
    const std::chrono::sys_time<milliseconds> time{milliseconds(wall_ms)};
    const auto day = std::chrono::floor<days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss<milliseconds> of_day(time - day);
    std::array<char, 64> text{};
    const int size = std::snprintf(text.data(),
                                   text.size(),
                                   "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                                   static_cast<int>(date.year()),
                                   static_cast<unsigned>(date.month()),
                                   static_cast<unsigned>(date.day()),
                                   static_cast<int>(of_day.hours().count()),
                                   static_cast<int>(of_day.minutes().count()),
                                   static_cast<int>(of_day.seconds().count()),
                                   static_cast<int>(of_day.subseconds().count()));
    return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace drover::gateway::dialect
