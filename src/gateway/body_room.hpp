// The memory that the bodies of all requests may take together: each is bounded, and there may be a
// thousand. On the loop only.
#pragma once

#include <cstdint>
#include <utility>

#include "base/units.hpp"

namespace drover::gateway {

class BodyRoom {
  public:
    explicit BodyRoom(Bytes limit) : limit_(limit) {}

    /// What one session has of it; given back when it is destroyed, before the room is.
    class Share {
      public:
        explicit Share(BodyRoom& room) : room_(room) {}
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;
        ~Share() { clear(); }

        /// False: there is no room for so much more, and it is as before.
        bool grow(Bytes size) {
            if (size > room_.limit_ - room_.taken_) {
                return false;
            }
            room_.taken_ += size;
            size_ += size;
            return true;
        }
        void clear() { room_.taken_ -= std::exchange(size_, Bytes(0)); }

      private:
        BodyRoom& room_;
        Bytes size_{};
    };

  private:
    Bytes limit_;
    Bytes taken_{};
};

}  // namespace drover::gateway
