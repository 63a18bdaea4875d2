#include "snapshots/index.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.hpp"

namespace drover::snapshots {

namespace {

constexpr double kMiB = 1024.0 * 1024.0;

}  // namespace

std::optional<std::vector<Snapshot>> Index::make_room(Bytes needed) {
    if (needed > budget_) {
        return std::nullopt;
    }
    std::vector<Snapshot> gone;
    while (bytes_ + needed > budget_) {
        const auto entry = first_to_leave();
        sunk_ = std::max(sunk_, entry->second.rank);
        gone.push_back(erase(entry));
    }
    return gone;
}

std::vector<Snapshot> Index::add(Snapshot snapshot) {
    std::vector<Snapshot> gone;
    for (auto entry = entries_.cbegin(); entry != entries_.cend();) {
        const auto next = std::next(entry);
        const Snapshot& other = entry->second.snapshot;
        if (other.file == snapshot.file) {
            erase(entry);  // the file was replaced, so there is nothing to remove
        } else if (other.origin == snapshot.origin && other.chain.begins(snapshot.chain)) {
            gone.push_back(erase(entry));
        }
        entry = next;
    }
    bytes_ += snapshot.bytes;
    const double rank = rank_of(snapshot);
    entries_.emplace(SnapshotId{++last_id_.value}, Entry{std::move(snapshot), rank, ++uses_});
    while (bytes_ > budget_) {
        const auto entry = first_to_leave();
        sunk_ = std::max(sunk_, entry->second.rank);
        gone.push_back(erase(entry));
    }
    return gone;
}

Snapshot Index::take(SnapshotId id) {
    const auto entry = entries_.find(id);
    DROVER_ASSERT(entry != entries_.end());
    return erase(entry);
}

std::vector<Snapshot> Index::take_unusable(std::uint64_t model,
                                           const std::unordered_set<std::uint64_t>& usable) {
    std::vector<Snapshot> gone;
    for (auto entry = entries_.cbegin(); entry != entries_.cend();) {
        const auto next = std::next(entry);
        const Origin& origin = entry->second.snapshot.origin;
        if (origin.model == model && !usable.contains(origin.binding)) {
            gone.push_back(erase(entry));
        }
        entry = next;
    }
    return gone;
}

void Index::touch(SnapshotId id) {
    if (const auto entry = entries_.find(id); entry != entries_.end()) {
        entry->second.rank = rank_of(entry->second.snapshot);
        entry->second.used = ++uses_;
    }
}

const Snapshot* Index::find(SnapshotId id) const {
    const auto entry = entries_.find(id);
    return entry == entries_.end() ? nullptr : &entry->second.snapshot;
}

std::vector<SnapshotId> Index::latest(const Origin& origin, std::size_t count) const {
    std::vector<std::pair<std::uint64_t, SnapshotId>> found;
    for (const auto& [id, entry] : entries_) {
        if (entry.snapshot.origin == origin) {
            found.emplace_back(entry.used, id);
        }
    }
    std::sort(found.rbegin(), found.rend());
    std::vector<SnapshotId> ids;
    for (std::size_t i = 0; i < std::min(count, found.size()); ++i) {
        ids.push_back(found[i].second);
    }
    return ids;
}

bool Index::has(const Origin& origin) const {
    return std::any_of(entries_.begin(), entries_.end(), [&origin](const auto& entry) {
        return entry.second.snapshot.origin == origin;
    });
}

std::optional<SnapshotId> Index::best_match(const Origin& origin,
                                            const TokenChain& conversation,
                                            std::size_t least) const {
    std::optional<SnapshotId> best;
    std::tuple<std::size_t, std::uint64_t> most{std::max<std::size_t>(least, 1), 0};
    for (const auto& [id, entry] : entries_) {
        const std::tuple common{entry.snapshot.chain.common(conversation), entry.used};
        if (entry.snapshot.origin == origin && common >= most) {
            best = id;
            most = common;
        }
    }
    return best;
}

double Index::rank_of(const Snapshot& snapshot) const {
    const double seconds = std::chrono::duration<double>(snapshot.prefill).count();
    const auto bytes = static_cast<double>(std::max<std::int64_t>(snapshot.bytes.count(), 1));
    return sunk_ + seconds / (bytes / kMiB);
}

Index::Entries::const_iterator Index::first_to_leave() const {
    DROVER_ASSERT(!entries_.empty());
    return std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
        return std::tie(a.second.rank, a.second.used) < std::tie(b.second.rank, b.second.used);
    });
}

Snapshot Index::erase(Entries::const_iterator entry) {
    Snapshot snapshot = std::move(entries_.at(entry->first).snapshot);
    bytes_ -= snapshot.bytes;
    entries_.erase(entry);
    return snapshot;
}

}  // namespace drover::snapshots
