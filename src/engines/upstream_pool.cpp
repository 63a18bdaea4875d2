#include "engines/upstream_pool.hpp"

#include <string>
#include <utility>

#include "platform/clock.hpp"

namespace drover::engines {

namespace asio = boost::asio;
using platform::as_result;
using platform::Task;

namespace {

/// Between two attempts while the engine's accept queue is full.
constexpr std::chrono::milliseconds kAcceptQueueRetry{5};

}  // namespace

UpstreamPool::UpstreamPool(platform::Loop& loop, std::filesystem::path socket)
    : UpstreamPool(loop, std::move(socket), Limits()) {}

UpstreamPool::UpstreamPool(platform::Loop& loop, std::filesystem::path socket, Limits limits)
    : loop_(loop), socket_(std::move(socket)), limits_(limits) {
    idle_.reserve(limits_.idle_max);
}

UpstreamPool::~UpstreamPool() = default;

std::unique_ptr<UpstreamConnection> UpstreamPool::take_idle(TimePoint now) {
    if (idle_.empty()) {
        return nullptr;
    }
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    if (now - connection->idle_since > limits_.idle_age_max) {
        idle_.clear();  // the youngest is too old, so all are
        return nullptr;
    }
    return connection;
}

Task<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::connect() {
    const asio::local::stream_protocol::endpoint endpoint(socket_.string());
    const TimePoint deadline = platform::now() + limits_.connect_timeout;
    for (;;) {
        auto connection =
            std::make_unique<UpstreamConnection>(UpstreamConnection{platform::UnixSocket(loop_)});
        auto [error] = co_await connection->socket.async_connect(endpoint, as_result);
        if (!error) {
            // With a full accept queue connect() says EAGAIN, which Asio takes for "in progress"
            // and then for success; only a connected socket knows its peer.
            connection->socket.remote_endpoint(error);
        }
        if (!error) {
            connection->socket.non_blocking(true, error);
        }
        if (!error) {
            co_return connection;
        }
        if (error != asio::error::not_connected || platform::now() > deadline) {
            co_return Error{ErrorCode::engine_failed,
                            "the engine does not accept connections: " + error.message()};
        }
        platform::Timer pause(loop_, kAcceptQueueRetry);
        co_await pause.async_wait(as_result);
    }
}

void UpstreamPool::give_back(std::unique_ptr<UpstreamConnection> connection, TimePoint now) {
    if (idle_.size() >= limits_.idle_max) {
        return;
    }
    connection->reused = true;
    connection->idle_since = now;
    idle_.push_back(std::move(connection));
}

void UpstreamPool::close_idle() {
    idle_.clear();
}

}  // namespace drover::engines
