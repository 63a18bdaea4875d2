// The signals that ask a server to stop. On the loop only.
#pragma once

#include <boost/asio/basic_signal_set.hpp>

#include "platform/async.hpp"

namespace drover::platform {

/// Catches SIGINT (Ctrl-C) and SIGTERM as long as it lives.
class StopSignals {
  public:
    explicit StopSignals(Loop& loop);

    /// The next of them, also one that came since the last call; 0 when the calling coroutine is
    /// cancelled.
    Task<int> wait();

  private:
    boost::asio::basic_signal_set<Executor> signals_;
};

/// Makes writing to a pipe or socket that nobody reads an error, not the end of the process.
void ignore_broken_pipes();

}  // namespace drover::platform
