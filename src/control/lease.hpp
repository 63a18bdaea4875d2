// A request's right to use an instance, and the ticket it holds while it waits. On the loop only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "control/instance.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"

namespace drover::control {

class ControlLoop;

/// The right of one request to use an instance; an instance with leases is never evicted. Ends when
/// destroyed. Move-only; must not outlive the control loop.
class Lease {
  public:
    Lease(ControlLoop& control, RequestId request, std::shared_ptr<Instance> instance);
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    InstanceId instance() const { return instance_->id; }

    /// Connections to the instance; valid as long as the lease.
    engines::UpstreamPool& upstream() const { return instance_->upstream; }

    /// The instance owes an answer and is silent: kills it with this cause; its leases fail.
    void report_hung(std::string cause);

    /// For a request whose connection broke: why the instance is gone, with its last words. Waits a
    /// second at most for its exit to be noticed; nullopt when it still runs then.
    platform::Task<std::optional<Error>> failure();

  private:
    void end();

    ControlLoop* control_;
    RequestId request_;
    std::shared_ptr<Instance> instance_;  ///< null after a move
};

/// A request that has not taken its lease yet. Lives in its Ticket.
struct PendingRequest {
    RequestId request;
    ModelId model;
    std::optional<Result<Lease>> outcome{};
    platform::Notifier* waiter = nullptr;  ///< told when `outcome` is set
};

/// A place in the queue. Dropping it gives up the place, or ends the lease that nobody took.
class Ticket {
  public:
    Ticket(ControlLoop& control, std::unique_ptr<PendingRequest> pending);
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();

    bool decided() const { return pending_->outcome.has_value(); }

    /// The lease or the refusal. REQUIRES: decided(); called once.
    Result<Lease> take();

  private:
    friend class ControlLoop;

    ControlLoop* control_;
    std::unique_ptr<PendingRequest> pending_;
};

}  // namespace drover::control
