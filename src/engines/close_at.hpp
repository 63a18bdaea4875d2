// A deadline for everything that is done with a connection. On the loop only.
#pragma once

#include <memory>

#include "engines/upstream_connection.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// Closes the connection at the deadline, so that what is under way fails; unless destroyed before.
/// REQUIRES: the connection outlives it.
class CloseAt {
  public:
    CloseAt(platform::Loop& loop, UpstreamConnection& connection, TimePoint deadline)
        : watched_(std::make_shared<Watched>(Watched{&connection})), timer_(loop, deadline) {
        timer_.async_wait([watched = watched_](const boost::system::error_code& error) {
            // The handler may be queued already when nobody watches any more.
            if (!error && watched->connection != nullptr) {
                watched->late = true;
                watched->connection->close();
            }
        });
    }
    ~CloseAt() { watched_->connection = nullptr; }
    CloseAt(const CloseAt&) = delete;
    CloseAt& operator=(const CloseAt&) = delete;

    /// The deadline has passed.
    bool late() const { return watched_->late; }

  private:
    struct Watched {
        UpstreamConnection* connection;
        bool late = false;
    };

    std::shared_ptr<Watched> watched_;
    platform::Timer timer_;
};

}  // namespace drover::engines
