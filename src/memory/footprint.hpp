// Bytes on each device, and a place among the loaded models. Pure; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <memory>

#include "base/units.hpp"

namespace drover::memory {

/// Devices one machine can have: host RAM is device 0, then GPUs.
inline constexpr std::size_t kDevicesMax = 15;
inline constexpr std::size_t kHostDevice = 0;
/// No device: where the number of loaded models is limited, each takes one of what is here.
inline constexpr std::size_t kModelCount = kDevicesMax;

/// What an instance holds, or a budget allows, on each device.
class Footprint {
  public:
    // Sets and copies only what is there: most machines have one device or few, and the scheduler
    // makes footprints all the time. The host's slot apart, or compilers make each copy a call.
    constexpr Footprint() {}
    constexpr Footprint(const Footprint& other) { *this = other; }
    constexpr Footprint& operator=(const Footprint& other) {
        width_ = other.width_;
        if (width_ > kHostDevice) {
            copy_slot(kHostDevice, other);
        }
        for (std::size_t i = kHostDevice + 1; i < width_; ++i) {
            copy_slot(i, other);
        }
        return *this;
    }

    /// `bytes` of host RAM and nothing elsewhere.
    static constexpr Footprint host(Bytes bytes) {
        Footprint footprint;
        footprint[kHostDevice] = bytes;
        return footprint;
    }

    constexpr Bytes& operator[](std::size_t device) {
        widen(device + 1);
        return slots_[device].bytes;
    }
    constexpr Bytes operator[](std::size_t device) const {
        return device < width_ ? slots_[device].bytes : Bytes(0);
    }

    /// True when every device that is needed has enough. A device of which nothing is needed may
    /// even be overdrawn.
    constexpr bool fits(const Footprint& limit) const {
        for (std::size_t i = 0; i < width_; ++i) {
            if (slots_[i].bytes > limit[i] && slots_[i].bytes > Bytes(0)) {
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
            if (slots_[i].bytes > there[i] && slots_[i].bytes > Bytes(0)) {
                missing[i] = slots_[i].bytes - there[i];
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
            if (slots_[i].bytes > Bytes(0) && other[i] > Bytes(0)) {
                return true;
            }
        }
        return false;
    }

    /// True when it needs something of each device of which there is any in `other`.
    constexpr bool spans(const Footprint& other) const {
        for (std::size_t i = 0; i < other.width_; ++i) {
            if (other[i] > Bytes(0) && (*this)[i] <= Bytes(0)) {
                return false;
            }
        }
        return true;
    }

    /// True when both need the same devices.
    constexpr bool same_devices(const Footprint& other) const {
        for (std::size_t i = 0; i < std::max(width_, other.width_); ++i) {
            if (((*this)[i] > Bytes(0)) != (other[i] > Bytes(0))) {
                return false;
            }
        }
        return true;
    }

    /// What of `there` stays free on the devices of which this needs anything.
    constexpr Bytes leaves_of(const Footprint& there) const {
        Bytes left;
        for (std::size_t i = 0; i < width_; ++i) {
            if (slots_[i].bytes > Bytes(0)) {
                left += there[i] - slots_[i].bytes;
            }
        }
        return left;
    }

    /// Becomes at least `other`, on each device.
    constexpr void raise_to(const Footprint& other) {
        widen(other.width_);
        for (std::size_t i = 0; i < other.width_; ++i) {
            slots_[i].bytes = std::max(slots_[i].bytes, other[i]);
        }
    }

    /// Sum over all devices.
    constexpr Bytes total() const {
        Bytes sum;
        for (std::size_t i = 0; i < std::min(width_, kDevicesMax); ++i) {
            sum += slots_[i].bytes;
        }
        return sum;
    }

    constexpr Footprint& operator+=(const Footprint& other) {
        widen(other.width_);
        for (std::size_t i = 0; i < other.width_; ++i) {
            slots_[i].bytes += other[i];
        }
        return *this;
    }
    constexpr Footprint& operator-=(const Footprint& other) {
        widen(other.width_);
        for (std::size_t i = 0; i < other.width_; ++i) {
            slots_[i].bytes -= other[i];
        }
        return *this;
    }
    friend constexpr Footprint operator+(Footprint a, const Footprint& b) { return a += b; }
    friend constexpr Footprint operator-(Footprint a, const Footprint& b) { return a -= b; }
    constexpr bool operator==(const Footprint& other) const {
        for (std::size_t i = 0; i < std::max(width_, other.width_); ++i) {
            if ((*this)[i] != other[i]) {
                return false;
            }
        }
        return true;
    }

  private:
    /// Room for a number; an array of Bytes would be set to zero as a whole.
    union Slot {
        constexpr Slot() {}
        Bytes bytes;
    };

    constexpr void copy_slot(std::size_t i, const Footprint& other) {
        std::construct_at(&slots_[i].bytes, other.slots_[i].bytes);
    }

    constexpr void widen(std::size_t width) {
        for (; width_ < width; ++width_) {
            std::construct_at(&slots_[width_].bytes);
        }
    }

    std::array<Slot, kDevicesMax + 1> slots_;
    /// Slots from here on are unset, and mean zero.
    std::size_t width_ = 0;
};

}  // namespace drover::memory
