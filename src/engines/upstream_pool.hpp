// Keep-alive connections to one engine's UNIX socket. On the loop only.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// One connection to an engine, used by one request at a time. Its destructor closes it, which
/// tells the engine to stop generating.
struct UpstreamConnection {
    platform::UnixSocket socket;
    bool reused = false;  ///< it served a request before: the engine may have closed it meanwhile
    TimePoint idle_since{};  ///< when it was given back
};

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
        std::chrono::milliseconds connect_timeout{5'000};
    };

    UpstreamPool(platform::Loop& loop, std::filesystem::path socket);
    UpstreamPool(platform::Loop& loop, std::filesystem::path socket, Limits limits);
    ~UpstreamPool();
    UpstreamPool(const UpstreamPool&) = delete;
    UpstreamPool& operator=(const UpstreamPool&) = delete;

    /// The youngest idle connection, or null when there is none young enough. Never waits. The
    /// engine may have closed it since: a request that gets no byte back may be repeated.
    std::unique_ptr<UpstreamConnection> take_idle(TimePoint now);

    /// A fresh connection. `engine_failed` when the engine does not accept one within
    /// `connect_timeout`. REQUIRES: the pool outlives the call.
    platform::Task<Result<std::unique_ptr<UpstreamConnection>>> connect();

    /// Returns a connection on which a whole response was read and which the engine keeps open.
    void give_back(std::unique_ptr<UpstreamConnection> connection, TimePoint now);

    /// Closes all idle connections, for instance before the engine is stopped.
    void close_idle();

    std::size_t idle() const { return idle_.size(); }

  private:
    platform::Loop& loop_;
    std::filesystem::path socket_;
    Limits limits_;
    std::vector<std::unique_ptr<UpstreamConnection>> idle_;  ///< oldest first
};

}  // namespace drover::engines
