// Bytes received and not yet understood. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/assert.hpp"

namespace drover::gateway {

/// What an idle connection may keep.
inline constexpr std::size_t kIdleBuffer = 16 * 1024;

/// A flat buffer that is filled at its end and emptied at its front. Room given out by prepare()
/// stays where it is until commit(), whatever is consumed meanwhile, so that a read can be under
/// way while the bytes before it are used.
class InputBuffer {
  public:
    /// What has been received; valid until prepare().
    std::string_view data() const { return {memory_.data() + begin_, end_ - begin_}; }

    /// Forgets the first `size` bytes.
    void consume(std::size_t size) {
        DROVER_ASSERT(size <= end_ - begin_);
        begin_ += size;
    }

    struct Room {
        char* data;
        std::size_t size;
    };

    /// Room for more: at least `size` bytes. Moves and grows what is there.
    Room prepare(std::size_t size) {
        if (begin_ == end_) {
            begin_ = end_ = 0;
        }
        if (memory_.size() - end_ < size && begin_ > 0) {
            std::memmove(memory_.data(), memory_.data() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (memory_.size() - end_ < size) {
            memory_.resize(end_ + size);
        }
        return {memory_.data() + end_, memory_.size() - end_};
    }

    /// The first `size` bytes of the room have been filled.
    void commit(std::size_t size) {
        DROVER_ASSERT(size <= memory_.size() - end_);
        end_ += size;
    }

    void clear() { begin_ = end_ = 0; }

    /// Gives memory back when there is more than `size` and nothing in it. REQUIRES: no read under
    /// way.
    void shrink(std::size_t size) {
        if (begin_ == end_ && memory_.size() > size) {
            begin_ = end_ = 0;
            memory_.resize(size);
            memory_.shrink_to_fit();
        }
    }

  private:
    std::vector<char> memory_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace drover::gateway
