// Reads and writes the numbers of a predictor's file. Pure; any thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace drover::router {

// Numbers lie in the file as this machine has them; every machine that Drover runs on is
// little-endian.
static_assert(std::endian::native == std::endian::little);

/// Takes values off the front of bytes that may end too early.
class ByteReader {
  public:
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

    /// False, and `value` as it was, when there are not enough bytes.
    template <typename Value>
    bool take(Value& value) {
        static_assert(std::is_trivially_copyable_v<Value>);
        const std::string_view found = bytes(sizeof(Value));
        if (found.size() < sizeof(Value)) {
            return false;
        }
        std::memcpy(&value, found.data(), sizeof(Value));
        return true;
    }

    template <typename Value>
    bool take(std::vector<Value>& values, std::size_t count) {
        values.resize(count);
        return std::all_of(
            values.begin(), values.end(), [this](Value& value) { return take(value); });
    }

    /// Less than `size` bytes when there are not as many; nothing fits after that.
    std::string_view bytes(std::size_t size) {
        const std::string_view taken = bytes_.substr(0, size);
        bytes_.remove_prefix(taken.size());
        return taken;
    }

    std::size_t left() const { return bytes_.size(); }

  private:
    std::string_view bytes_;
};

template <typename Value>
void append(std::string& bytes, const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(Value));
}

template <typename Values>
void append_all(std::string& bytes, const Values& values) {
    for (const auto& value : values) {
        append(bytes, value);
    }
}

/// Whether all are numbers that sums can be made of.
inline bool finite(std::span<const float> numbers) {
    constexpr float kLargest = 1e9F;
    return std::all_of(numbers.begin(), numbers.end(), [](float number) {
        return std::isfinite(number) && std::abs(number) < kLargest;
    });
}

}  // namespace drover::router
