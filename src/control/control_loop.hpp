// The single writer: feeds events to the scheduler and carries out its effects. On the loop only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "memory/scheduler.hpp"
#include "platform/async.hpp"

namespace drover::control {

/// The right of one request to use an instance. Ends when destroyed. Move-only; on the loop only.
class Lease {
  public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    InstanceId instance() const;
    /// Connections to the instance; valid as long as the lease.
    engines::UpstreamPool& upstream() const;
    /// The instance hangs: it is killed with this cause, and every lease on it fails.
    void report_hung(std::string cause);
    /// Why the instance is gone, with its last words, if it is: waits (bounded, about a second) for
    /// the exit of a process whose connection just broke.
    platform::Task<std::optional<Error>> failure();
};

struct AcquireOptions {
    std::optional<memory::KeepAlive> keep_alive{};   ///< as the client asked
    std::chrono::milliseconds queue_timeout{600'000};
};

class ControlLoop {
  public:
    /// A lease on `model`, loading it if needed. Errors: overloaded (queue full; retry_after),
    /// insufficient_memory (message says what is needed, what there is, what helps), engine_failed
    /// (with last words), unavailable (backing off, stopping; retry_after), timeout, cancelled.
    /// Cancelling the calling coroutine gives up the place in the queue.
    platform::Task<Result<Lease>> acquire(ModelId model, AcquireOptions options);
};

}  // namespace drover::control
