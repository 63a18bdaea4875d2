#include "engines/upstream_pool.hpp"

#include <utility>

#include "engines/upstream_connection.hpp"
#include "platform/clock.hpp"

namespace drover::engines {

using platform::Task;

UpstreamPool::UpstreamPool(platform::Loop& loop, Endpoint endpoint)
    : UpstreamPool(loop, std::move(endpoint), Limits()) {}

UpstreamPool::UpstreamPool(platform::Loop& loop, Endpoint endpoint, Limits limits)
    : loop_(loop), endpoint_(std::move(endpoint)), limits_(limits) {
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

Task<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::connect(Duration at_most) {
    return engines::connect(loop_, endpoint_, platform::now() + at_most);
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
