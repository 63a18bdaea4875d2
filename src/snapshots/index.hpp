// Which snapshots there are, which one a conversation needs, and which ones go when the disk budget
// is full. Pure: no files, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "snapshots/token_chain.hpp"

namespace drover::snapshots {

using SnapshotId = Id<struct SnapshotTag>;

/// What a saved state depends on: it is of use only for the same again.
struct Origin {
    std::uint64_t model = 0;    ///< identity of the model's file
    std::uint64_t binding = 0;  ///< of everything else that its content depends on
    bool operator==(const Origin&) const = default;
};

/// One saved conversation.
struct Snapshot {
    std::string file;  ///< its name in the snapshot folder
    Origin origin{};
    Bytes bytes{};       ///< of the file
    Duration prefill{};  ///< what it took to compute: what using it saves
    TokenChain chain{};
};

/// Snapshots under a budget. What leaves is GreedyDual-Size (Cao and Irani 1997): the rank of a
/// snapshot is prefill time per byte, plus the rank of what left last when it was saved or used, so
/// that the old ones sink. Ties: the one not used for longer.
class Index {
  public:
    explicit Index(Bytes budget) : budget_(budget) {}

    Bytes budget() const { return budget_; }
    Bytes bytes() const { return bytes_; }  ///< of all snapshots
    std::size_t size() const { return entries_.size(); }

    /// Chooses what must go so that `needed` more bytes fit, and forgets it; the caller removes the
    /// files it gets. Nullopt, and nothing is forgotten: more than the whole budget.
    std::optional<std::vector<Snapshot>> make_room(Bytes needed);

    /// Adds one. Returns what it replaces, for the caller to remove: shorter snapshots of the same
    /// conversation, and what no longer fits into the budget, which may be the new one.
    std::vector<Snapshot> add(Snapshot snapshot);

    /// Forgets one and returns it.
    Snapshot take(SnapshotId id);

    /// Forgets all of `model` whose binding is none of `usable`, and returns them: nobody can use
    /// them any more.
    std::vector<Snapshot> take_unusable(std::uint64_t model,
                                        const std::unordered_set<std::uint64_t>& usable);

    /// It was used: it is the last to leave among its like.
    void touch(SnapshotId id);

    const Snapshot* find(SnapshotId id) const;

    /// The snapshots that can be used for `origin`, at most `count`, the last used first.
    std::vector<SnapshotId> latest(const Origin& origin, std::size_t count) const;
    /// Whether there are any.
    bool has(const Origin& origin) const;

    /// Of these the one that has most in common with `conversation`, if any has `least` tokens.
    std::optional<SnapshotId> best_match(const Origin& origin,
                                         const TokenChain& conversation,
                                         std::size_t least) const;

  private:
    struct Entry {
        Snapshot snapshot;
        double rank = 0;         ///< in seconds per MiB
        std::uint64_t used = 0;  ///< counts uses over all
    };
    using Entries = std::unordered_map<SnapshotId, Entry>;

    double rank_of(const Snapshot& snapshot) const;
    Entries::const_iterator first_to_leave() const;
    Snapshot erase(Entries::const_iterator entry);

    Bytes budget_;
    Bytes bytes_;
    double sunk_ = 0;  ///< rank of what left last
    std::uint64_t uses_ = 0;
    SnapshotId last_id_{};
    Entries entries_;
};

}  // namespace drover::snapshots
