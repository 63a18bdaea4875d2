// Keeps conversations alive while their model is not: saves an instance's slots before it stops,
// and gives them back to the next instance of the model. On the loop only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "control/fleet.hpp"
#include "control/instance.hpp"
#include "control/managed_model.hpp"
#include "control/snapshot_folder.hpp"
#include "engines/engine_client.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/notifier.hpp"
#include "platform/task_scope.hpp"
#include "snapshots/index.hpp"
#include "snapshots/price.hpp"
#include "snapshots/slot_contents.hpp"

namespace drover::control {

/// A shorter conversation is computed again about as fast as it is brought back.
constexpr std::uint32_t kTokensWorthKeeping = 128;

struct SnapshotOptions {
    std::filesystem::path folder;  ///< empty: nothing is kept
    Bytes budget{};
    /// Longest that saving delays the end of an instance, and restoring its readiness.
    std::chrono::milliseconds time_limit{2'000};
};

/// Everything here is best effort: what goes wrong is logged once, and the prompt is computed
/// again.
class SnapshotKeeper {
  public:
    SnapshotKeeper(platform::Loop& loop, platform::BlockingPool& pool, SnapshotOptions options);
    /// REQUIRES: stop() has returned.
    ~SnapshotKeeper() = default;

    /// `name` is for the log. A model without traits has nothing to keep.
    void declare(ModelId model, std::string name, std::optional<SnapshotTraits> traits);

    /// Looks for what earlier servers left in the folder.
    void start();
    /// Returns when everything that was saved lies sealed in the folder.
    platform::Task<> stop();

    /// Checks the snapshots of the instance's model while its process starts. Returns at once.
    void prepare(const Instance& instance);
    /// Fills the slots of an instance that has served nobody yet, the conversations used last
    /// first.
    platform::Task<> restore(std::shared_ptr<Instance> instance);

    /// Whether there is anything to save in this instance.
    bool keeps(const Instance& instance) const;
    /// Saves the slots of an instance that serves nobody any more.
    platform::Task<> save(std::shared_ptr<Instance> instance);

    /// What a token of a prompt takes to compute: so much less is worth keeping where it is little.
    void note_speed(ModelId model, Duration prefill_per_token);

    /// Whether there are snapshots of the instance's model.
    bool may_recall(InstanceId instance) const;
    /// Brings the conversation that this request goes on with into a slot, if a snapshot has it and
    /// no slot does.
    platform::Task<> recall(std::shared_ptr<Instance> instance,
                            std::string_view path,
                            std::string_view body);

    /// Finds out whether what was restored was of use.
    platform::Task<> review(std::shared_ptr<Instance> instance);

    /// Forgets an instance that is gone.
    void forget(InstanceId instance);

    SnapshotView view() const;
    /// What the instance got back: tokens in its slots.
    std::uint64_t restored_tokens(InstanceId instance) const;

  private:
    struct Model {
        std::string name;
        SnapshotTraits traits;
        std::optional<snapshots::Origin> origin{};  ///< of its snapshots; set by prepare()
        Duration prefill_per_token{};               ///< a guess, until it is measured
        snapshots::Price price{};
        std::unordered_set<std::string> verified{};  ///< files, by the check of prepare()
        std::size_t sealing = 0;                     ///< saved, but not sealed yet
        bool preparing = false;
        std::uint32_t misses = 0;  ///< asked for, and yet everything was computed: in a row
        bool proven = false;       ///< it was of use at least once
        bool off = false;          ///< it is of no use for this model
        /// Conversations are saved as they were before their last answer.
        bool before_answer = false;
        /// What its chat template puts before an answer; empty: nobody can tell.
        std::optional<std::vector<std::int32_t>> answer_opening{};
    };

    /// A snapshot that was put into a slot.
    struct Restored {
        snapshots::SnapshotId id;
        std::uint64_t tokens = 0;
        bool asked_for = false;  ///< the slot's next request went on with it
        bool reviewed = false;
    };

    struct Seat {
        ModelId model;
        std::map<std::uint32_t, Restored> restored{};  ///< by slot
        snapshots::SlotContents contents{};
        std::uint64_t tokens = 0;
        double cached_seen = 0;  ///< tokens that the engine had needed no computing for, so far
    };

    /// Marks an instance as the one for which a recall is under way.
    class Recalling {
      public:
        Recalling(SnapshotKeeper& keeper, InstanceId instance)
            : keeper_(keeper), instance_(instance) {
            keeper_.recalling_.insert(instance);
        }
        Recalling(const Recalling&) = delete;
        Recalling& operator=(const Recalling&) = delete;
        ~Recalling() {
            keeper_.recalling_.erase(instance_);
            keeper_.changed_.notify_all();
        }

      private:
        SnapshotKeeper& keeper_;
        InstanceId instance_;
    };

    struct Saving {
        std::string file;
        SealTerms terms;
        Bytes reserved;
    };

    Model* model_of(ModelId id);
    std::unordered_set<std::uint64_t> bindings() const;
    static Bytes state_of(const Model& model, std::uint64_t tokens);
    platform::Task<> scan();
    platform::Task<> identify_and_verify(ModelId id);
    platform::Task<> wait_for_files(ModelId id);
    platform::Task<bool> put(std::shared_ptr<Instance> instance,
                             snapshots::SnapshotId id,
                             engines::Slot slot,
                             TimePoint deadline);
    platform::Task<std::size_t> save_slots(std::shared_ptr<Instance> instance,
                                           std::vector<engines::Slot> slots,
                                           TimePoint deadline);
    platform::Task<> remove_at_end(std::shared_ptr<Instance> instance, std::string file);
    platform::Task<Status> save_before_answer(std::shared_ptr<Instance> instance,
                                              std::uint32_t slot,
                                              std::string file,
                                              TimePoint deadline);
    platform::Task<bool> make_room(Bytes needed);
    platform::Task<> seal(ModelId id, Saving saving);
    platform::Task<> discard(std::vector<snapshots::Snapshot> gone);
    platform::Task<> recall_from_index(std::shared_ptr<Instance> instance,
                                       std::string path,
                                       std::string body);
    void note_asked(Seat& seat,
                    snapshots::SnapshotId id,
                    std::size_t kept,
                    const std::vector<engines::Slot>& slots) const;
    /// Brings a snapshot into the idle slot with least in it.
    platform::Task<bool> bring(std::shared_ptr<Instance> instance,
                               snapshots::SnapshotId id,
                               std::vector<engines::Slot> slots,
                               TimePoint deadline);
    void review_slots(Model& model,
                      Seat& seat,
                      const std::vector<engines::Slot>& slots,
                      double cached_total);
    /// Whether it was of use.
    bool note_use(Model& model, const Restored& restored, std::uint64_t cached);

    platform::Loop& loop_;
    platform::BlockingPool& pool_;
    SnapshotOptions options_;
    snapshots::Index index_;
    Bytes reserved_;  ///< for states that are being written
    std::unordered_map<ModelId, Model> models_;
    std::unordered_map<InstanceId, Seat> seats_;
    std::unordered_set<InstanceId> recalling_;
    std::uint64_t files_ = 0;  ///< counts states that engines wrote, for names
    SnapshotView totals_;
    bool scanned_ = false;
    bool disk_full_told_ = false;
    platform::Notifier changed_;  ///< files became ready, or a recall ended
    platform::TaskScope tasks_;
};

}  // namespace drover::control
