#include "control/snapshot_keeper.hpp"

#include <algorithm>
#include <utility>

#include "control/durations.hpp"
#include "platform/clock.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"
#include "snapshots/checksum.hpp"
#include "snapshots/last_answer.hpp"

namespace drover::control {

namespace log = platform::log;
using engines::EngineClient;
using engines::PromptCounters;
using engines::Slot;
using platform::now;
using platform::Task;
using snapshots::Snapshot;
using snapshots::SnapshotId;

namespace {

/// The disk is left this much free, whatever the budget says: it is not ours alone.
constexpr Bytes kDiskReserve = 256_MiB;

/// Beside the cache: tokens, positions, seal.
constexpr Bytes kStateOverhead = 1_MiB;

bool is_worth_keeping(const Slot& slot) {
    return slot.used() && slot.tokens >= kTokensWorthKeeping;
}

std::vector<std::string> names_of(const std::vector<Snapshot>& snapshots) {
    std::vector<std::string> names;
    for (const Snapshot& snapshot : snapshots) {
        names.push_back(snapshot.file);
    }
    return names;
}

}  // namespace

SnapshotKeeper::SnapshotKeeper(platform::Loop& loop,
                               platform::BlockingPool& pool,
                               SnapshotOptions options)
    : loop_(loop),
      pool_(pool),
      options_(std::move(options)),
      index_(options_.budget),
      changed_(loop),
      tasks_(loop) {}

void SnapshotKeeper::declare(ModelId model,
                             std::string name,
                             std::optional<SnapshotTraits> traits) {
    if (!traits.has_value() || options_.folder.empty()) {
        return;
    }
    models_.emplace(model, Model{.name = std::move(name), .traits = std::move(*traits)});
}

void SnapshotKeeper::start() {
    if (!options_.folder.empty()) {
        tasks_.spawn("snapshots.scan", [this] { return scan(); });
    }
}

Task<> SnapshotKeeper::stop() {
    co_await tasks_.join();
}

SnapshotKeeper::Model* SnapshotKeeper::model_of(ModelId id) {
    const auto found = models_.find(id);
    return found == models_.end() || found->second.off ? nullptr : &found->second;
}

/// What a conversation takes in the engine's file.
Bytes SnapshotKeeper::state_of(const Model& model, std::uint64_t tokens) {
    return model.traits.bytes_per_token * static_cast<std::int64_t>(tokens) +
           model.traits.bytes_fixed;
}

Task<> SnapshotKeeper::scan() {
    struct Scan {
        std::vector<Snapshot> found;
        std::vector<std::string> damaged;
    };
    const auto work = [folder = options_.folder] {
        Scan result;
        result.found = scan_snapshots(folder, result.damaged);
        return result;
    };
    Scan result = co_await pool_.run(work);
    for (const std::string& file : result.damaged) {
        log::warn("snapshot.discarded", {{"file", file}, {"cause", "it is damaged"}});
    }
    std::vector<Snapshot> gone;
    for (Snapshot& snapshot : result.found) {
        for (Snapshot& one : index_.add(std::move(snapshot))) {
            gone.push_back(std::move(one));
        }
    }
    co_await discard(std::move(gone));
    scanned_ = true;
    changed_.notify_all();
    log::info("snapshots.found",
              {{"count", index_.size()}, {"bytes", drover::to_string(index_.bytes())}});
}

void SnapshotKeeper::prepare(const Instance& instance) {
    Model* model = model_of(instance.model);
    if (model == nullptr || model->preparing) {
        return;
    }
    model->preparing = true;
    tasks_.spawn("snapshots.prepare",
                 [this, id = instance.model] { return identify_and_verify(id); });
}

/// Of all models: what was saved with one of these may be used again.
std::unordered_set<std::uint64_t> SnapshotKeeper::bindings() const {
    std::unordered_set<std::uint64_t> all;
    for (const auto& [id, model] : models_) {
        all.insert(snapshots::checksum(model.traits.binding));
    }
    return all;
}

/// Reads what will be restored while the engine starts: it is checked, and in the page cache.
Task<> SnapshotKeeper::identify_and_verify(ModelId id) {
    while (!scanned_ || models_.at(id).sealing > 0) {
        co_await changed_.wait();
    }
    Model& model = models_.at(id);
    const auto identify = [files = model.traits.files] {
        return model_identity(files);
    };
    const Result<std::uint64_t> identity = co_await pool_.run(identify);
    if (identity.ok()) {
        model.origin = {.model = *identity, .binding = snapshots::checksum(model.traits.binding)};
        std::vector<Snapshot> unusable = index_.take_unusable(*identity, bindings());
        if (!unusable.empty()) {
            log::warn("snapshots.discarded",
                      {{"model", model.name},
                       {"count", unusable.size()},
                       {"cause", "made by another engine, or with other settings"}});
            co_await discard(std::move(unusable));
        }
        for (const SnapshotId snapshot : index_.latest(*model.origin, model.traits.slots)) {
            const Snapshot* found = index_.find(snapshot);
            if (found == nullptr) {
                continue;  // it left meanwhile
            }
            const std::string file = found->file;
            const auto verify = [folder = options_.folder, file] {
                return verify_snapshot(folder, file);
            };
            const Status whole = co_await pool_.run(verify);
            if (whole.ok()) {
                model.verified.insert(file);
            } else if (index_.find(snapshot) != nullptr) {
                log::warn("snapshot.discarded",
                          {{"model", model.name}, {"cause", whole.error().message}});
                std::vector<Snapshot> damaged;
                damaged.push_back(index_.take(snapshot));
                co_await discard(std::move(damaged));
            }
        }
    }
    model.preparing = false;
    changed_.notify_all();
}

Task<> SnapshotKeeper::restore(std::shared_ptr<Instance> instance) {
    if (model_of(instance->model) == nullptr) {
        co_return;
    }
    const TimePoint deadline = now() + options_.time_limit;
    Model& model = models_.at(instance->model);
    while (model.preparing && now() < deadline) {
        co_await changed_.wait_until(deadline);
    }
    if (model.preparing || !model.origin.has_value()) {
        co_return;
    }
    const TimePoint begun = now();
    seats_.emplace(instance->id, Seat{.model = instance->model});
    const std::vector<SnapshotId> latest = index_.latest(*model.origin, model.traits.slots);
    if (latest.empty()) {
        co_return;
    }
    EngineClient client(loop_, instance->upstream.endpoint());
    const auto slots = co_await client.slots(deadline);
    if (instance->resting) {
        // It has served before it slept, and its counters go on.
        const auto counters = co_await client.prompt_counters(deadline);
        if (const auto seat = seats_.find(instance->id); counters.ok() && seat != seats_.end()) {
            seat->second.cached_seen = counters->cached;
        }
    }
    std::size_t filled = 0;
    for (const SnapshotId id : latest) {
        if (!slots.ok() || filled == slots->size() || now() >= deadline) {
            break;
        }
        const bool done = co_await put(instance, id, (*slots)[filled], deadline);
        filled += done ? 1 : 0;
    }
    if (filled > 0) {
        log::info("snapshots.restored",
                  {{"model", model.name},
                   {"conversations", filled},
                   {"tokens", restored_tokens(instance->id)},
                   {"ms", milliseconds_of(now() - begun)}});
    }
}

/// Puts one snapshot into one slot. False when it could not be: then it is no more, or there was no
/// time.
Task<bool> SnapshotKeeper::put(std::shared_ptr<Instance> instance,
                               SnapshotId id,
                               Slot slot,
                               TimePoint deadline) {
    const Snapshot* snapshot = index_.find(id);
    if (snapshot == nullptr) {
        co_return false;
    }
    Model& model = models_.at(instance->model);
    const std::string file = snapshot->file;
    const snapshots::TokenChain chain = snapshot->chain;
    const auto tokens = static_cast<std::uint64_t>(chain.tokens());
    Status usable;
    if (model.verified.erase(file) == 0) {  // since it was checked, it may have been replaced
        const auto verify = [folder = options_.folder, file] {
            return verify_snapshot(folder, file);
        };
        usable = co_await pool_.run(verify);
    }
    if (usable.ok()) {
        EngineClient client(loop_, instance->upstream.endpoint());
        const TimePoint begun = now();
        const Result<std::uint32_t> restored = co_await client.restore(slot.id, file, deadline);
        if (restored.ok()) {
            model.price.note_restored(state_of(model, tokens), now() - begun);
        } else {
            usable = restored.error();
        }
    }
    if (usable.ok()) {
        if (const auto seat = seats_.find(instance->id); seat != seats_.end()) {
            seat->second.restored.insert_or_assign(slot.id, Restored{.id = id, .tokens = tokens});
            seat->second.contents.put(slot.id, slot.task, chain);
            seat->second.tokens += tokens;
        }
        index_.touch(id);
        ++totals_.restored;
        co_return true;
    }
    // An engine that fell over it must not meet it again; one that is being stopped says nothing.
    const bool stopped = instance->supervisor.state() == engines::ProcessState::stopping;
    if (!stopped && usable.error().code != ErrorCode::timeout && index_.find(id) != nullptr) {
        log::warn("snapshot.discarded", {{"model", model.name}, {"cause", usable.error().message}});
        std::vector<Snapshot> gone;
        gone.push_back(index_.take(id));
        co_await discard(std::move(gone));
    }
    co_return false;
}

bool SnapshotKeeper::keeps(const Instance& instance) const {
    const auto model = models_.find(instance.model);
    return model != models_.end() && !model->second.off &&
           instance.supervisor.state() == engines::ProcessState::ready;
}

Task<> SnapshotKeeper::save(std::shared_ptr<Instance> instance) {
    const TimePoint begun = now();
    const TimePoint deadline = begun + options_.time_limit;
    EngineClient client(loop_, instance->upstream.endpoint());
    auto slots = co_await client.slots(deadline);
    if (!slots.ok()) {
        log::warn("snapshots.not_saved",
                  {{"model", models_.at(instance->model).name}, {"cause", slots.error().message}});
        co_return;
    }
    std::erase_if(*slots, [](const Slot& slot) { return !is_worth_keeping(slot); });
    if (slots->empty()) {
        co_return;  // somebody waits for this memory
    }
    co_await review(instance);
    const std::size_t saved = co_await save_slots(instance, std::move(*slots), deadline);
    if (saved > 0) {
        log::info("snapshots.saved",
                  {{"model", models_.at(instance->model).name},
                   {"conversations", saved},
                   {"ms", milliseconds_of(now() - begun)}});
    }
}

/// The long ones first: they are worth most if time runs out.
Task<std::size_t> SnapshotKeeper::save_slots(std::shared_ptr<Instance> instance,
                                             std::vector<Slot> slots,
                                             TimePoint deadline) {
    std::size_t saved = 0;
    std::sort(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) {
        return a.tokens > b.tokens;
    });
    EngineClient client(loop_, instance->upstream.endpoint());
    for (const Slot& slot : slots) {
        Model* model = model_of(instance->model);
        if (model == nullptr || !is_worth_keeping(slot) || !model->origin.has_value()) {
            continue;
        }
        const Bytes state = state_of(*model, slot.tokens);
        if (!model->price.pays(state, model->prefill_per_token * slot.tokens)) {
            log::debug("snapshot.not_worth_it", {{"model", model->name}, {"tokens", slot.tokens}});
            continue;
        }
        // Editing a state writes it a second time before the first one goes.
        const int copies = model->traits.sliding_window ? 2 : 1;
        Saving saving{.file = "saving-" + std::to_string(++files_) + std::string(kUnfinished),
                      .terms = {.model = model->origin->model,
                                .binding = model->origin->binding,
                                .prefill_per_token = model->prefill_per_token,
                                .sliding_window = model->traits.sliding_window},
                      .reserved = (state + kStateOverhead) * copies};
        const bool fits = co_await make_room(saving.reserved);
        if (!fits) {
            continue;
        }
        reserved_ += saving.reserved;
        const TimePoint begun = now();
        Status written = co_await client.save(slot.id, saving.file, deadline);
        if (written.ok()) {
            models_.at(instance->model).price.note_saved(state, now() - begun);
        }
        if (written.ok() && models_.at(instance->model).before_answer) {
            written = co_await save_before_answer(instance, slot.id, saving.file, deadline);
        }
        if (!written.ok()) {
            log::warn("snapshot.not_saved",
                      {{"model", models_.at(instance->model).name},
                       {"tokens", slot.tokens},
                       {"cause", written.error().message}});
            reserved_ -= saving.reserved;
            const auto remove = [folder = options_.folder, file = saving.file] {
                remove_snapshots(folder, {file});
                return true;
            };
            co_await pool_.run(remove);
            // What it was asked too late it may still begin to write, as long as it lives.
            tasks_.spawn("snapshots.unfinished", [this, instance, file = saving.file] {
                return remove_at_end(instance, file);
            });
            continue;
        }
        ++saved;
        ++totals_.saved;
        ++models_.at(instance->model).sealing;
        tasks_.spawn("snapshots.seal",
                     [this, id = instance->model, saving] { return seal(id, saving); });
    }
    co_return saved;
}

Task<> SnapshotKeeper::remove_at_end(std::shared_ptr<Instance> instance, std::string file) {
    while (!instance->report.has_value()) {
        co_await instance->gone.wait();
    }
    remove_snapshots(options_.folder, {file});
}

/// Takes the last answer out of the slot and saves it once more, to the same file. When that cannot
/// be done, the file stays as it is.
Task<Status> SnapshotKeeper::save_before_answer(std::shared_ptr<Instance> instance,
                                                std::uint32_t slot,
                                                std::string file,
                                                TimePoint deadline) {
    EngineClient client(loop_, instance->upstream.endpoint());
    Model& model = models_.at(instance->model);
    if (!model.answer_opening.has_value()) {
        auto opening = co_await client.answer_opening(deadline);
        model.answer_opening = opening.ok() ? std::move(*opening) : std::vector<std::int32_t>();
    }
    const auto read = [folder = options_.folder, file] {
        return tokens_of_state(folder, file);
    };
    auto tokens = co_await pool_.run(read);
    if (!tokens.ok()) {
        co_return Status();
    }
    const auto kept = snapshots::before_last_answer(*tokens, *model.answer_opening);
    if (!kept.has_value() || *kept < kTokensWorthKeeping) {
        co_return Status();
    }
    tokens->resize(*kept);
    const Status reduced = co_await client.reduce(slot, std::move(*tokens), deadline);
    if (!reduced.ok()) {
        co_return Status();
    }
    co_return co_await client.save(slot, std::move(file), deadline);
}

/// Frees budget, and says whether the disk has as much besides what it must keep.
Task<bool> SnapshotKeeper::make_room(Bytes needed) {
    auto gone = index_.make_room(needed + reserved_);
    if (!gone.has_value()) {
        co_return false;
    }
    co_await discard(std::move(*gone));
    const auto ask = [folder = options_.folder] {
        return platform::free_space(folder);
    };
    const Result<Bytes> free = co_await pool_.run(ask);
    const bool fits = free.ok() && *free >= needed + kDiskReserve;
    if (!fits && !std::exchange(disk_full_told_, true)) {
        log::warn("snapshots.disk_full",
                  {{"folder", options_.folder.string()},
                   {"free", free.ok() ? drover::to_string(*free) : "unknown"},
                   {"kept_free", drover::to_string(kDiskReserve)}});
    }
    disk_full_told_ = !fits;
    co_return fits;
}

Task<> SnapshotKeeper::seal(ModelId id, Saving saving) {
    const auto work = [folder = options_.folder, saving] {
        return seal_snapshot(folder, saving.file, saving.terms);
    };
    Result<Snapshot> sealed = co_await pool_.run(work);
    reserved_ -= saving.reserved;
    if (sealed.ok()) {
        std::vector<Snapshot> gone = index_.add(std::move(*sealed));
        co_await discard(std::move(gone));
    } else {
        log::info("snapshot.not_kept",
                  {{"model", models_.at(id).name}, {"cause", sealed.error().message}});
    }
    --models_.at(id).sealing;
    changed_.notify_all();
}

Task<> SnapshotKeeper::discard(std::vector<Snapshot> gone) {
    if (gone.empty()) {
        co_return;
    }
    const auto work = [folder = options_.folder, names = names_of(gone)] {
        remove_snapshots(folder, names);
        return true;
    };
    co_await pool_.run(work);
}

void SnapshotKeeper::forget(InstanceId instance) {
    seats_.erase(instance);
    changed_.notify_all();
}

SnapshotView SnapshotKeeper::view() const {
    SnapshotView view = totals_;
    view.count = index_.size();
    view.bytes = index_.bytes();
    view.budget = options_.folder.empty() ? Bytes() : options_.budget;
    return view;
}

std::uint64_t SnapshotKeeper::restored_tokens(InstanceId instance) const {
    const auto seat = seats_.find(instance);
    return seat == seats_.end() ? 0 : seat->second.tokens;
}

}  // namespace drover::control
