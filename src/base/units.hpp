// Strong units. Pure; any thread.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace drover {

/// A number of bytes; may be negative as a difference. Never mixes with plain integers by accident.
class Bytes {
  public:
    constexpr Bytes() = default;
    constexpr explicit Bytes(std::int64_t count) : count_(count) {}

    constexpr std::int64_t count() const { return count_; }
    constexpr double gib() const {
        return static_cast<double>(count_) / (1024.0 * 1024.0 * 1024.0);
    }

    constexpr auto operator<=>(const Bytes&) const = default;
    constexpr Bytes& operator+=(Bytes other) {
        count_ += other.count_;
        return *this;
    }
    constexpr Bytes& operator-=(Bytes other) {
        count_ -= other.count_;
        return *this;
    }
    friend constexpr Bytes operator+(Bytes a, Bytes b) { return Bytes(a.count_ + b.count_); }
    friend constexpr Bytes operator-(Bytes a, Bytes b) { return Bytes(a.count_ - b.count_); }
    friend constexpr Bytes operator*(Bytes a, std::int64_t n) { return Bytes(a.count_ * n); }

  private:
    std::int64_t count_ = 0;
};

/// A count that comes from a file, whatever it is.
constexpr Bytes as_bytes(std::uint64_t count) {
    return Bytes(static_cast<std::int64_t>(count));
}

constexpr Bytes operator""_KiB(unsigned long long n) {
    return Bytes(static_cast<std::int64_t>(n) << 10);
}
constexpr Bytes operator""_MiB(unsigned long long n) {
    return Bytes(static_cast<std::int64_t>(n) << 20);
}
constexpr Bytes operator""_GiB(unsigned long long n) {
    return Bytes(static_cast<std::int64_t>(n) << 30);
}

/// For people: "812 B", "33.0 MiB", "12.4 GiB".
std::string to_string(Bytes bytes);

/// Reads "12GiB", "512 MiB", "4G", "1.5GB" (decimal: 10^9), "4096". Binary suffixes: K, KiB, M,
/// MiB, G, GiB, T, TiB; decimal: KB, MB, GB, TB. `invalid_argument` with the text and the forms
/// accepted.
Result<Bytes> parse_bytes(std::string_view text);

/// Time as the pure core knows it: only differences mean anything. The caller supplies `now`.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Reads "300" (seconds), "5m", "1h30m", "250ms", "1.5s", "0", "-1" as Ollama does for keep_alive.
/// A negative result means "for ever". `invalid_argument` with the text and the forms accepted.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// For people: "250ms", "4s", "5m", "1h30m", "for ever" when negative.
std::string to_string(std::chrono::milliseconds duration);

}  // namespace drover
