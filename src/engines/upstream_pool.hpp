// Keep-alive connections to one engine. On the loop only.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/endpoint.hpp"
#include "platform/async.hpp"

namespace drover::engines {

class UpstreamConnection;

/// Hands out connections, the most recently used first, so that surplus ones age and are closed.
class UpstreamPool {
  public:
    /// The engine's HTTP library closes a connection that idles for 5 s, and each idle connection
    /// keeps one of the engine's threads busy, so they are not kept for long. There are never more
    /// than were served at once, for which the engine has threads, and that is `parallel`: a lower
    /// limit would make busy instances connect anew for every third request.
    struct Limits {
        std::size_t idle_max = 256;
        Duration idle_age_max = std::chrono::seconds(4);
    };

    UpstreamPool(platform::Loop& loop, Endpoint endpoint);
    UpstreamPool(platform::Loop& loop, Endpoint endpoint, Limits limits);
    ~UpstreamPool();
    UpstreamPool(const UpstreamPool&) = delete;
    UpstreamPool& operator=(const UpstreamPool&) = delete;

    const Endpoint& endpoint() const { return endpoint_; }

    /// The youngest idle connection, or null when there is none young enough. Never waits. The
    /// engine may have closed it since: a request that gets no byte back may be repeated.
    std::unique_ptr<UpstreamConnection> take_idle(TimePoint now);

    /// A fresh connection; errors as those of engines::connect(), after `at_most` at the latest.
    /// REQUIRES: the pool outlives the call.
    platform::Task<Result<std::unique_ptr<UpstreamConnection>>> connect(Duration at_most);

    /// Returns a connection on which a whole response was read and which the engine keeps open.
    void give_back(std::unique_ptr<UpstreamConnection> connection, TimePoint now);

    /// Closes all idle connections, for instance before the engine is stopped.
    void close_idle();

    std::size_t idle() const { return idle_.size(); }

  private:
    platform::Loop& loop_;
    Endpoint endpoint_;
    Limits limits_;
    std::vector<std::unique_ptr<UpstreamConnection>> idle_;  ///< oldest first
};

}  // namespace drover::engines
