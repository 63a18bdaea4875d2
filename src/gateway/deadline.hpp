// The one thing that a session must not wait for any longer. On the loop only.
#pragma once

#include "base/units.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

/// What a session waits for.
enum class Waiting {
    nothing,      ///< that has a limit here
    request,      ///< a kept-alive connection is idle
    head,         ///< the rest of a request's head
    body,         ///< the rest of a request's body
    client_read,  ///< the client takes what is written
    engine,       ///< the engine says something
    farewell,     ///< the client closes after the last response
};

/// Set for every wait, looked at by a coarse tick: cheaper than a timer for every operation.
class Deadline {
  public:
    void set(Waiting waiting, Duration limit) {
        waiting_ = waiting;
        at_ = platform::now() + limit;
    }
    void clear() { waiting_ = Waiting::nothing; }

    Waiting waiting() const { return waiting_; }
    bool passed(TimePoint now) const { return waiting_ != Waiting::nothing && now >= at_; }

  private:
    Waiting waiting_ = Waiting::nothing;
    TimePoint at_{};
};

}  // namespace drover::gateway
