// The right to use an instance, and who gives it. On the loop only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/upstream_pool.hpp"
#include "platform/async.hpp"
#include "upstreams/report.hpp"

namespace drover::control {

class LeaseOwner;

/// What is different about an instance that somebody else runs: one replica of a server.
struct RemoteTerms {
    std::string served_name;        ///< what the server calls the model
    Duration connect_timeout{};     ///< for all replicas that a request is tried with
    Duration first_byte_timeout{};  ///< from the request to the answer
    Duration idle_timeout{};        ///< longest silence within the answer
};

/// The right of one request to use an instance; an instance with leases is never evicted. Ends when
/// destroyed. Move-only.
class Lease {
  public:
    Lease() = default;
    /// For those who give leases, and hear of the end through end_lease().
    Lease(LeaseOwner& owner,
          RequestId request,
          InstanceId instance,
          engines::UpstreamPool& upstream,
          const RemoteTerms* remote = nullptr,
          std::size_t others = 0)
        : owner_(&owner),
          request_(request),
          instance_(instance),
          upstream_(&upstream),
          remote_(remote),
          others_(others) {}
    Lease(Lease&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          request_(other.request_),
          instance_(other.instance_),
          upstream_(other.upstream_),
          remote_(other.remote_),
          others_(other.others_) {}
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { release(); }

    explicit operator bool() const { return owner_ != nullptr; }
    RequestId request() const { return request_; }
    InstanceId instance() const { return instance_; }
    /// Connections to the instance; valid as long as the lease.
    engines::UpstreamPool& upstream() const { return *upstream_; }

    /// Null: the instance runs on this machine. Valid as long as the lease.
    const RemoteTerms* remote() const { return remote_; }
    /// Replicas that the request could be tried with when this one fails, now.
    std::size_t others() const { return others_; }
    /// What became of the request; of a remote's lease, before its end. Without it nothing is
    /// learnt.
    void report(const upstreams::Report& report);

    /// Whether recall() may have something to do; costs nothing.
    bool may_recall() const;

    /// If the conversation that this request goes on with lies on disk and in no slot of the
    /// instance, it is brought into one. Bounded; what fails is as if nothing was there. REQUIRES:
    /// `path` and `body` stay until it returns.
    platform::Task<> recall(std::string_view path, std::string_view body);

    /// The instance hangs: it is killed with this cause, and every lease on it fails.
    void report_hung(std::string cause);

    /// The end of what its engine has printed; of a remote's, nothing.
    std::string last_words() const;

    /// Why the instance is gone, with its last words: waits (bounded, about a second) for the exit
    /// of a process whose connection just broke. Nullopt: it still lives.
    platform::Task<std::optional<Error>> failure();

    /// Ends it early; also done by the destructor.
    void release();

  private:
    LeaseOwner* owner_ = nullptr;
    RequestId request_{};
    InstanceId instance_{};
    engines::UpstreamPool* upstream_ = nullptr;
    const RemoteTerms* remote_ = nullptr;
    std::size_t others_ = 0;
};

/// Who gives leases.
class LeaseOwner {
  public:
    virtual ~LeaseOwner() = default;

  private:
    friend class Lease;
    virtual void end_lease(RequestId request) = 0;
    virtual void report(RequestId request, const upstreams::Report& report) = 0;
    virtual bool may_recall(InstanceId instance) const = 0;
    virtual platform::Task<> recall(InstanceId instance,
                                    std::string_view path,
                                    std::string_view body) = 0;
    virtual void report_hung(InstanceId instance, std::string cause) = 0;
    virtual std::string last_words(InstanceId instance) const = 0;
    virtual platform::Task<std::optional<Error>> failure(InstanceId instance) = 0;
};

inline Lease& Lease::operator=(Lease&& other) noexcept {
    if (this != &other) {
        release();
        owner_ = std::exchange(other.owner_, nullptr);
        request_ = other.request_;
        instance_ = other.instance_;
        upstream_ = other.upstream_;
        remote_ = other.remote_;
        others_ = other.others_;
    }
    return *this;
}

inline void Lease::report(const upstreams::Report& report) {
    owner_->report(request_, report);
}

inline bool Lease::may_recall() const {
    return owner_->may_recall(instance_);
}

inline platform::Task<> Lease::recall(std::string_view path, std::string_view body) {
    return owner_->recall(instance_, path, body);
}

inline void Lease::report_hung(std::string cause) {
    owner_->report_hung(instance_, std::move(cause));
}

inline std::string Lease::last_words() const {
    return owner_->last_words(instance_);
}

inline platform::Task<std::optional<Error>> Lease::failure() {
    return owner_->failure(instance_);
}

inline void Lease::release() {
    if (LeaseOwner* owner = std::exchange(owner_, nullptr)) {
        owner->end_lease(request_);
    }
}

}  // namespace drover::control
