// Bytes on each device. Pure; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>

#include "base/units.hpp"

namespace drover::memory {

/// Devices one machine can have: host RAM is device 0, then GPUs.
inline constexpr std::size_t kDevicesMax = 16;
inline constexpr std::size_t kHostDevice = 0;

/// What an instance holds, or a budget allows, on each device.
class Footprint {
  public:
    constexpr Footprint() = default;
    // Copies what is there: most machines have one device or few, and copies are made all the time.
    constexpr Footprint(const Footprint& other) : width_(other.width_) {
        for (std::size_t i = 0; i < width_; ++i) {
            bytes_[i] = other.bytes_[i];
        }
    }
    constexpr Footprint& operator=(const Footprint& other) {
        for (std::size_t i = 0; i < std::max(width_, other.width_); ++i) {
            bytes_[i] = other.bytes_[i];
        }
        width_ = other.width_;
        return *this;
    }

    /// `bytes` of host RAM and nothing elsewhere.
    static constexpr Footprint host(Bytes bytes) {
        Footprint footprint;
        footprint[kHostDevice] = bytes;
        return footprint;
    }

    constexpr Bytes& operator[](std::size_t device) {
        width_ = std::max(width_, device + 1);
        return bytes_[device];
    }
    constexpr Bytes operator[](std::size_t device) const { return bytes_[device]; }

    /// True when every device that is needed has enough. A device of which nothing is needed may
    /// even be overdrawn.
    constexpr bool fits(const Footprint& limit) const {
        for (std::size_t i = 0; i < width_; ++i) {
            if (bytes_[i] > limit.bytes_[i] && bytes_[i] > Bytes(0)) {
                return false;
            }
        }
        return true;
    }

    /// What this needs beyond `there`, on the devices of which it needs anything. Empty when it
    /// fits.
    constexpr Footprint lacks(const Footprint& there) const {
        Footprint missing;
        for (std::size_t i = 0; i < width_; ++i) {
            if (bytes_[i] > there.bytes_[i] && bytes_[i] > Bytes(0)) {
                missing[i] = bytes_[i] - there.bytes_[i];
            }
        }
        return missing;
    }

    /// This without what is negative.
    constexpr Footprint positive() const { return lacks(Footprint()); }

    /// True when nothing is needed anywhere.
    constexpr bool empty() const { return *this == Footprint(); }

    /// True when there is a device that both need.
    constexpr bool overlaps(const Footprint& other) const {
        for (std::size_t i = 0; i < std::min(width_, other.width_); ++i) {
            if (bytes_[i] > Bytes(0) && other.bytes_[i] > Bytes(0)) {
                return true;
            }
        }
        return false;
    }

    /// True when it needs something of each device of which there is any in `other`.
    constexpr bool spans(const Footprint& other) const {
        for (std::size_t i = 0; i < other.width_; ++i) {
            if (other.bytes_[i] > Bytes(0) && bytes_[i] <= Bytes(0)) {
                return false;
            }
        }
        return true;
    }

    /// True when both need the same devices.
    constexpr bool same_devices(const Footprint& other) const {
        for (std::size_t i = 0; i < std::max(width_, other.width_); ++i) {
            if ((bytes_[i] > Bytes(0)) != (other.bytes_[i] > Bytes(0))) {
                return false;
            }
        }
        return true;
    }

    /// What of `there` stays free on the devices of which this needs anything.
    constexpr Bytes leaves_of(const Footprint& there) const {
        Bytes left;
        for (std::size_t i = 0; i < width_; ++i) {
            if (bytes_[i] > Bytes(0)) {
                left += there.bytes_[i] - bytes_[i];
            }
        }
        return left;
    }

    /// Becomes at least `other`, on each device.
    constexpr void raise_to(const Footprint& other) {
        width_ = std::max(width_, other.width_);
        for (std::size_t i = 0; i < other.width_; ++i) {
            bytes_[i] = std::max(bytes_[i], other.bytes_[i]);
        }
    }

    /// Sum over all devices.
    constexpr Bytes total() const {
        Bytes sum;
        for (std::size_t i = 0; i < width_; ++i) {
            sum += bytes_[i];
        }
        return sum;
    }

    constexpr Footprint& operator+=(const Footprint& other) {
        width_ = std::max(width_, other.width_);
        for (std::size_t i = 0; i < other.width_; ++i) {
            bytes_[i] += other.bytes_[i];
        }
        return *this;
    }
    constexpr Footprint& operator-=(const Footprint& other) {
        width_ = std::max(width_, other.width_);
        for (std::size_t i = 0; i < other.width_; ++i) {
            bytes_[i] -= other.bytes_[i];
        }
        return *this;
    }
    friend constexpr Footprint operator+(Footprint a, const Footprint& b) { return a += b; }
    friend constexpr Footprint operator-(Footprint a, const Footprint& b) { return a -= b; }
    constexpr bool operator==(const Footprint& other) const {
        for (std::size_t i = 0; i < std::max(width_, other.width_); ++i) {
            if (bytes_[i] != other.bytes_[i]) {
                return false;
            }
        }
        return true;
    }

  private:
    std::array<Bytes, kDevicesMax> bytes_{};
    /// Devices from here on have zero.
    std::size_t width_ = 0;
};

}  // namespace drover::memory
