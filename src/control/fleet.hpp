// The models of this machine as the gateway sees them: find one by name, get the right to use it,
// look at all of them. Implemented by ControlLoop, and by a fake in the gateway's tests. On the
// loop only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "control/lease.hpp"
#include "control/model_view.hpp"
#include "control/stopping.hpp"  // what whoever waits is told
#include "engines/engine_load.hpp"
#include "memory/events.hpp"
#include "platform/async.hpp"

namespace drover::control {

struct AcquireOptions {
    std::optional<memory::KeepAlive> keep_alive{};  ///< as the client asked
    std::chrono::milliseconds queue_timeout{600'000};
    /// Tokens that the client wants to use, prompt and answer; 0: what the model has. A model that
    /// has less is loaded anew with as much, where that is possible, and keeps it.
    std::uint32_t context = 0;
    bool local_only = false;          ///< the request must not leave this machine
    std::uint64_t affinity = 0;       ///< of a remote with replicas: see upstreams::Ask
    std::vector<InstanceId> tried{};  ///< replicas that failed this request already
};

/// What an instance has of one device.
struct DeviceShare {
    std::string device;  ///< "host", "GPU 0"
    Bytes bytes{};
};

/// One engine process, for listings.
struct InstanceView {
    std::string model;
    std::string state;  ///< "loading", "ready", "falling asleep", "asleep", "stopping"
    Bytes bytes{};      ///< charged to the budgets
    std::string where;  ///< "host", "GPU 0", "GPU 0 (20 of 33 layers)"
    std::vector<DeviceShare> devices{};  ///< the same bytes, on each device that it has any of
    std::uint32_t leases = 0;
    std::uint32_t queued = 0;                     ///< requests that wait for its model
    std::optional<engines::EngineLoad> load{};    ///< of one that batches, while it is in use
    std::optional<std::int64_t> expires_at_ms{};  ///< since 1970; unset: stays
    std::int64_t pid = 0;                         ///< 0: none yet
    std::int64_t loaded_ms = 0;                   ///< what its load took
    std::int64_t woke_ms = 0;                     ///< what waking up took last; 0: it never slept
    std::uint64_t restored_tokens = 0;            ///< from snapshots, into its slots
};

/// One replica of a server that somebody else runs, for listings.
struct RemoteView {
    std::string model;  ///< its name in the configuration
    std::string url;
    std::string state;  ///< of its circuit: "closed", "open", "half open"
    std::uint32_t leases = 0;
    std::uint32_t queued = 0;                ///< requests that wait for this or another replica
    std::uint32_t failures = 0;              ///< in a row
    std::optional<std::int64_t> retry_ms{};  ///< until an open one is tried again
    std::int64_t first_byte_ms = 0;          ///< smoothed; 0: not known
    std::string problem;  ///< what went wrong last, or is wrong with its model list
};

/// What one device has and how much of it is given out.
struct DeviceView {
    std::string device;  ///< "host", "GPU 0"
    std::string name{};  ///< "NVIDIA H100 PCIe"; empty for the host
    std::string uuid{};
    Bytes bytes{};  ///< budget at present
    Bytes held{};
    Bytes taken{};  ///< of the configured budget, by other programs
};

/// Conversations on disk, and what they were good for since the server started.
struct SnapshotView {
    std::uint64_t count = 0;
    Bytes bytes{};
    Bytes budget{};              ///< 0: nothing is kept
    std::uint64_t saved = 0;     ///< conversations
    std::uint64_t restored = 0;  ///< put into a slot
    std::uint64_t hits = 0;      ///< of these, gone on with
    std::uint64_t misses = 0;    ///< of these, replaced by something else
    std::uint64_t tokens_saved = 0;
    std::int64_t saved_ms = 0;  ///< what computing those tokens would have taken
};

struct FleetView {
    std::vector<DeviceView> budget;
    std::vector<InstanceView> instances;
    SnapshotView snapshots;
    std::uint32_t queued = 0;  ///< requests that wait, over all models of this machine
    std::vector<RemoteView> remotes{};
};

/// What the gateway asks for. Every call is made on the loop; only the Tasks take time.
class Fleet : public LeaseOwner {
  public:
    /// The model with this name or alias. `not_found`: the message names the nearest.
    virtual Result<ModelId> find(std::string_view name) const = 0;

    /// The model to use when a request names none: the only one there is, else nullopt.
    virtual std::optional<ModelId> only_model() const = 0;

    /// The model's own name (never an alias); valid until the models change.
    virtual std::string_view name(ModelId model) const = 0;

    /// A lease that can be had at once: the model is hot, has room and nobody waits before us. Else
    /// nullopt, and acquire() says more. The hot path: no suspension.
    virtual std::optional<Lease> try_acquire(ModelId model, const AcquireOptions& options) = 0;

    /// A lease on `model`, loading it if needed. Errors: overloaded (queue full; retry_after),
    /// insufficient_memory (message says what is needed, what there is, what helps), engine_failed
    /// (with last words), unavailable (backing off, stopping; retry_after), timeout, cancelled.
    /// Cancelling the calling coroutine gives up the place in the queue.
    virtual platform::Task<Result<Lease>> acquire(ModelId model, AcquireOptions options) = 0;

    /// What is known of one model, without its `state`; nullptr when it is broken. Valid until the
    /// models change.
    virtual const ModelView* look(ModelId model) const = 0;

    virtual std::vector<ModelView> models() const = 0;
    virtual FleetView view() const = 0;

    /// Reads the model's file. Errors: those of reading it.
    virtual platform::Task<Result<ModelDescription>> describe(ModelId model) = 0;

    /// Looks on the disk for models that have come or gone; returns when they are known.
    virtual platform::Task<> refresh() = 0;

    /// Brings the model into memory; returns when it is hot.
    virtual platform::Task<Status> load(ModelId model) = 0;

    /// Takes the model out of memory; returns when the memory is free, with the bytes it was.
    virtual platform::Task<Result<Bytes>> unload(ModelId model) = 0;
};

}  // namespace drover::control
