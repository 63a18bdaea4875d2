// The single writer: feeds events to the scheduler and carries out its effects. On the loop only.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "control/budget_watch.hpp"
#include "control/device.hpp"
#include "control/fleet.hpp"
#include "control/instance.hpp"
#include "control/managed_model.hpp"
#include "control/measured_sizes.hpp"
#include "control/remotes.hpp"
#include "control/scales.hpp"
#include "control/snapshot_keeper.hpp"
#include "memory/scheduler.hpp"
#include "memory/successors.hpp"
#include "models/registry.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/notifier.hpp"
#include "platform/task_scope.hpp"

namespace drover::control {

struct ControlOptions {
    memory::SchedulerOptions scheduler;
    memory::Footprint budget;
    std::vector<Device> gpus{};
    std::shared_ptr<const platform::GpuProbe> gpu_probe{};  ///< there when there are GPUs
    /// Left to other programs: when there is less, the budget shrinks. Unset: it never does.
    std::optional<KeptFree> kept_free{};
    std::uint32_t models_max = 0;       ///< in memory at once, beside those asleep; 0: any number
    std::filesystem::path runtime_dir;  ///< private; engine sockets
    SnapshotOptions snapshots;
    /// Longest that load() waits.
    std::chrono::milliseconds load_timeout{600'000};
    /// Learns what instances take; null: nobody does. Called off the loop.
    std::shared_ptr<MeasuredSizes> sizes{};
    /// How often resident instances are measured again.
    std::chrono::milliseconds measure_every{2'000};
    /// How often engines that batch are asked how busy they are.
    std::chrono::milliseconds ask_load_every{500};
    std::vector<RemoteGroup> remotes{};
    /// A model with another context, or nullopt when it has as much as it can or may have. Null: no
    /// model's context changes.
    std::function<std::optional<ManagedModel>(const models::Model& model, std::uint32_t context)>
        with_context{};
};

/// Owns the scheduler and all instances.
class ControlLoop final : public Fleet {
  public:
    /// Declares `models`; nothing starts before start() or a request.
    ControlLoop(platform::Loop& loop,
                platform::BlockingPool& pool,
                ControlOptions options,
                models::Registry registry,
                std::vector<ManagedModel> models);
    /// REQUIRES: stop() has returned.
    ~ControlLoop() override;

    /// Begins to measure and loads the models marked `preload`.
    void start();

    /// Refuses what waits and what comes, lets running leases end, stops all instances, and returns
    /// when the last one is gone.
    platform::Task<> stop();

    /// From now on these are the models. A model that is gone is found no more, and leaves the
    /// memory when its last lease ends; requests that wait for it already are still answered. One
    /// that is known keeps what it has.
    void replace_models(models::Registry registry, std::vector<ManagedModel> models);

    /// What refresh() does: it looks whether there are other models, and replaces them.
    void on_refresh(std::function<platform::Task<>()> look) { refresh_ = std::move(look); }

    Result<ModelId> find(std::string_view name) const override;
    std::optional<ModelId> only_model() const override;
    std::string_view name(ModelId model) const override;
    std::optional<Lease> try_acquire(ModelId model, const AcquireOptions& options) override;
    platform::Task<Result<Lease>> acquire(ModelId model, AcquireOptions options) override;
    const ModelView* look(ModelId model) const override;
    std::vector<ModelView> models() const override;
    FleetView view() const override;
    platform::Task<Result<ModelDescription>> describe(ModelId model) override;
    platform::Task<> refresh() override;
    platform::Task<Status> load(ModelId model) override;
    platform::Task<Result<Bytes>> unload(ModelId model) override;

  private:
    /// A request without an answer. Registered as long as it lives; one that ends unanswered gives
    /// up its place in the queue, and a lease that nobody took ends with it.
    class Pending {
      public:
        Pending(ControlLoop& control, ModelId model, std::optional<memory::KeepAlive> keep_alive);
        Pending(const Pending&) = delete;
        Pending& operator=(const Pending&) = delete;
        ~Pending();

        /// Puts it to the scheduler; once it is refused it may be put again.
        void ask();

        RequestId request() const { return request_; }
        ModelId model() const { return model_; }
        /// That the model had when it was asked for.
        std::uint64_t context() const { return context_; }
        platform::Notifier& decided() { return decided_; }
        std::optional<Result<Lease>>& outcome() { return outcome_; }

      private:
        ControlLoop& control_;
        RequestId request_;
        ModelId model_;
        std::optional<memory::KeepAlive> keep_alive_;
        std::uint64_t context_ = 0;
        platform::Notifier decided_;
        std::optional<Result<Lease>> outcome_;
    };

    void end_lease(RequestId request) override;
    void report(RequestId, const upstreams::Report&) override {}
    bool may_recall(InstanceId instance) const override;
    platform::Task<> recall(InstanceId instance,
                            std::string_view path,
                            std::string_view body) override;
    void report_hung(InstanceId instance, std::string cause) override;
    std::string last_words(InstanceId instance) const override;
    platform::Task<std::optional<Error>> failure(InstanceId instance) override;

    void feed(memory::Event event);
    void carry_out(const memory::StartInstance& effect);
    void carry_out(const memory::StopInstance& effect);
    void carry_out(const memory::SleepInstance& effect);
    void carry_out(const memory::WakeInstance& effect);
    void carry_out(const memory::GrantLease& effect);
    void carry_out(const memory::RefuseRequest& effect);
    void carry_out(const memory::WakeAt& effect);
    void declare(ManagedModel model);
    void enlarge(ModelId model, std::uint32_t context);
    bool went_back(Pending& pending);
    void forget_retired();
    void decide(RequestId request, Result<Lease> outcome);

    platform::Task<> run(std::shared_ptr<Instance> instance);
    platform::Task<> read_ahead(std::vector<std::filesystem::path> files,
                                std::function<bool()> wanted);
    void prefetch_after(ModelId model);
    platform::Task<> save_and_stop(std::shared_ptr<Instance> instance);
    platform::Task<> save_and_sleep(std::shared_ptr<Instance> instance);
    void warn_if_too_large(const ManagedModel& model) const;
    void note_sleepless(const Instance& instance, const Error& cause) const;
    platform::Task<> wake(std::shared_ptr<Instance> instance);
    platform::Task<> serve(std::shared_ptr<Instance> instance, TimePoint begun);
    void note_exit(const Instance& instance);
    // What is measured (measuring.cpp).
    platform::Task<> measure(std::shared_ptr<Instance> instance);
    platform::Task<Result<memory::Footprint>> weigh_asleep(std::shared_ptr<Instance> instance);
    platform::Task<> measure_periodically();
    platform::Task<> ask_loads();
    platform::Task<> learn_speed(std::shared_ptr<Instance> instance);
    void note_prefill(ModelId id, double tokens, double seconds);
    platform::Task<> remember(std::shared_ptr<Instance> instance);
    bool note(Instance& instance, const Weighing& weighing);
    std::vector<Engine> running_engines() const;
    std::vector<InstanceId> ready_instances() const;
    void update_budget();
    memory::Footprint with_count(memory::Footprint budget) const;
    std::string label_of(std::size_t slot) const;
    std::string short_of(const memory::RefuseRequest& effect) const;
    static Bytes room_for(const memory::RefuseRequest& effect);
    std::string taken_by_pinned(const memory::Footprint& needed) const;
    std::string taken_by_others(const memory::Footprint& needed) const;

    std::vector<DeviceView> device_views() const;
    std::vector<DeviceShare> shares_of(const memory::Footprint& held) const;
    Error refusal(ModelId model, const memory::RefuseRequest& effect) const;
    Error describe_exit(const Instance& instance) const;

    platform::Loop& loop_;
    platform::BlockingPool& pool_;
    ControlOptions options_;
    models::Registry registry_;
    std::unordered_map<ModelId, ManagedModel> models_;
    std::unordered_map<ModelId, ManagedModel> as_configured_;  ///< those that were enlarged
    SnapshotKeeper snapshots_;
    Scales scales_;
    BudgetWatch budget_;
    Remotes remotes_;
    std::unordered_set<ModelId> retired_;  ///< of `models_`: no longer on the disk, but in use
    /// What models are or were called: a request may hold a name longer than there is the model.
    std::unordered_map<ModelId, const std::string*> names_;
    std::set<std::string> all_names_;
    std::function<platform::Task<>()> refresh_;
    memory::Scheduler scheduler_;
    memory::Successors successors_;
    std::deque<memory::Event> events_;
    bool pumping_ = false;
    RequestId last_request_{};
    std::unordered_map<RequestId, Pending*> pending_;
    std::map<InstanceId, std::shared_ptr<Instance>> instances_;
    /// Ended lately, for failure(): a request may notice its broken connection after the exit.
    std::deque<std::shared_ptr<Instance>> ended_;
    std::unordered_map<ModelId, Error> last_failure_;
    platform::Timer wake_timer_;
    platform::Notifier instance_ended_;
    platform::TaskScope tasks_;
};

}  // namespace drover::control
