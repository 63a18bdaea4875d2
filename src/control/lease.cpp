#include "control/lease.hpp"

#include <utility>

#include "control/control_loop.hpp"
#include "platform/clock.hpp"

namespace drover::control {

namespace {

/// How long a broken connection waits for the exit of its process: the kernel closes sockets before
/// the exit is reported, so the gap is short.
constexpr auto kExitNoticeMax = std::chrono::seconds(1);

}  // namespace

Lease::Lease(ControlLoop& control, RequestId request, std::shared_ptr<Instance> instance)
    : control_(&control), request_(request), instance_(std::move(instance)) {}

Lease::Lease(Lease&& other) noexcept
    : control_(other.control_), request_(other.request_), instance_(std::move(other.instance_)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
    if (this != &other) {
        end();
        control_ = other.control_;
        request_ = other.request_;
        instance_ = std::move(other.instance_);
    }
    return *this;
}

Lease::~Lease() {
    end();
}

void Lease::end() {
    if (instance_ != nullptr) {
        instance_.reset();
        control_->feed(memory::LeaseEnded{request_});
    }
}

void Lease::report_hung(std::string cause) {
    instance_->supervisor.kill(std::move(cause));
}

platform::Task<std::optional<Error>> Lease::failure() {
    const std::shared_ptr<Instance> instance = instance_;
    const auto deadline = platform::now() + kExitNoticeMax;
    while (!instance->report.has_value() && platform::now() < deadline) {
        co_await instance->gone.wait_until(deadline);
    }
    if (!instance->report.has_value()) {
        co_return std::nullopt;
    }
    co_return control_->describe_exit(*instance);
}

Ticket::Ticket(ControlLoop& control, std::unique_ptr<PendingRequest> pending)
    : control_(&control), pending_(std::move(pending)) {}

Ticket::~Ticket() {
    if (pending_ != nullptr) {
        control_->forget(*pending_);
    }
}

Result<Lease> Ticket::take() {
    DROVER_ASSERT(decided());
    const std::unique_ptr<PendingRequest> pending = std::move(pending_);
    control_->forget(*pending);
    return std::move(*pending->outcome);
}

}  // namespace drover::control
