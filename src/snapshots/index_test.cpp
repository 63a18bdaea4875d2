#include "snapshots/index.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::snapshots {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Origin kOrigin{.model = 1, .binding = 9};

/// Tokens of conversation `who`: others share none of them.
TokenChain conversation(std::int32_t who, std::size_t tokens) {
    std::vector<std::int32_t> list(tokens);
    std::iota(list.begin(), list.end(), who * 100'000);
    return TokenChain(list);
}

Snapshot snapshot(const std::string& file,
                  TokenChain chain,
                  std::int64_t bytes = 100,
                  std::chrono::milliseconds prefill = std::chrono::milliseconds(100)) {
    return {.file = file,
            .origin = kOrigin,
            .bytes = Bytes(bytes),
            .prefill = prefill,
            .chain = std::move(chain)};
}

std::vector<std::string> files(const std::vector<Snapshot>& snapshots) {
    std::vector<std::string> names;
    for (const Snapshot& one : snapshots) {
        names.push_back(one.file);
    }
    return names;
}

std::vector<std::string> latest(const Index& index, std::size_t count) {
    std::vector<std::string> names;
    for (const SnapshotId id : index.latest(kOrigin, count)) {
        names.push_back(index.find(id)->file);
    }
    return names;
}

TEST(Index, AConversationThatWentOnReplacesItsBeginning) {
    Index index(Bytes(1000));
    EXPECT_THAT(index.add(snapshot("short", conversation(1, 200))), IsEmpty());
    EXPECT_THAT(index.add(snapshot("other", conversation(2, 200))), IsEmpty());
    EXPECT_THAT(files(index.add(snapshot("long", conversation(1, 300)))), ElementsAre("short"));
    EXPECT_THAT(latest(index, 9), ElementsAre("long", "other"));
    EXPECT_EQ(index.bytes(), Bytes(200));
}

TEST(Index, TheSameFileAgainCountsOnceAndIsNotRemoved) {
    Index index(Bytes(1000));
    index.add(snapshot("a", conversation(1, 200), 100));
    EXPECT_THAT(index.add(snapshot("a", conversation(1, 200), 120)), IsEmpty());
    EXPECT_EQ(index.bytes(), Bytes(120));
    EXPECT_EQ(index.size(), 1U);
}

TEST(Index, WhatSavesLeastForItsBytesLeavesFirst) {
    Index index(Bytes(350));
    index.add(snapshot("slow", conversation(1, 200), 100, std::chrono::seconds(9)));
    index.add(snapshot("quick", conversation(2, 200), 100, std::chrono::seconds(1)));
    index.add(snapshot("large", conversation(3, 200), 150, std::chrono::seconds(9)));
    const auto gone = index.make_room(Bytes(120));
    ASSERT_TRUE(gone.has_value());
    EXPECT_THAT(files(*gone), ElementsAre("quick", "large"));
}

TEST(Index, AmongEqualsTheOneNotUsedForLongerLeaves) {
    Index index(Bytes(300));
    index.add(snapshot("a", conversation(1, 200)));
    index.add(snapshot("b", conversation(2, 200)));
    index.add(snapshot("c", conversation(3, 200)));
    index.touch(index.latest(kOrigin, 3).back());
    const auto gone = index.make_room(Bytes(100));
    ASSERT_TRUE(gone.has_value());
    EXPECT_THAT(files(*gone), ElementsAre("b"));
    EXPECT_THAT(latest(index, 1), ElementsAre("a"));
}

TEST(Index, AnOldPreciousOneSinksBelowNewOnes) {
    Index index(Bytes(1000));
    index.add(snapshot("precious", conversation(0, 200), 100, std::chrono::seconds(20)));
    bool left = false;
    for (int i = 1; i < 5000 && !left; ++i) {
        for (const Snapshot& gone :
             index.add(snapshot(std::to_string(i), conversation(i, 200), 300))) {
            left = left || gone.file == "precious";
        }
    }
    EXPECT_TRUE(left);
}

TEST(Index, WhatIsLargerThanTheBudgetMakesNobodyLeave) {
    Index index(Bytes(300));
    index.add(snapshot("a", conversation(1, 200)));
    EXPECT_FALSE(index.make_room(Bytes(301)).has_value());
    EXPECT_EQ(index.size(), 1U);
    Index nothing(Bytes(0));
    EXPECT_THAT(files(nothing.add(snapshot("a", conversation(1, 200)))), ElementsAre("a"));
}

TEST(Index, FindsTheConversationAmongMany) {
    Index index(Bytes(1'000'000));
    for (int who = 0; who < 500; ++who) {
        index.add(snapshot(std::to_string(who), conversation(who, 300)));
    }
    for (int who = 0; who < 500; who += 7) {
        const auto found = index.best_match(kOrigin, conversation(who, 400), 128);
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(index.find(*found)->file, std::to_string(who));
    }
    EXPECT_FALSE(index.best_match(kOrigin, conversation(501, 400), 128).has_value());
    EXPECT_FALSE(index.best_match(kOrigin, conversation(3, 100), 128).has_value());
    EXPECT_FALSE(
        index.best_match({.model = 2, .binding = 9}, conversation(3, 400), 128).has_value());
}

TEST(Index, OtherSettingsMakeSnapshotsOfAModelUnusable) {
    Index index(Bytes(1000));
    index.add(snapshot("a", conversation(1, 200)));
    Snapshot other = snapshot("b", conversation(2, 200));
    other.origin.binding = 10;
    index.add(std::move(other));
    EXPECT_THAT(files(index.take_unusable(kOrigin.model, {kOrigin.binding})), ElementsAre("b"));
    EXPECT_THAT(index.take_unusable(2, {kOrigin.binding}), IsEmpty());
    EXPECT_THAT(latest(index, 9), ElementsAre("a"));
}

/// Thousands of saves, uses and losses by chance: never over the budget, the sum always right, and
/// no file both kept and given away.
TEST(Index, KeepsItsBudgetWhateverComes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Rng rng(seed);
        Index index(Bytes(10'000));
        std::set<std::string> on_disk;
        const auto remove = [&](const std::vector<Snapshot>& gone) {
            for (const Snapshot& one : gone) {
                EXPECT_EQ(on_disk.erase(one.file), 1U) << one.file;
            }
        };
        for (int step = 0; step < 2000; ++step) {
            const auto who = static_cast<std::int32_t>(rng.below(40));
            const std::size_t tokens = 128 + 32 * rng.below(20);
            const Bytes bytes(static_cast<std::int64_t>(rng.below(3000)));
            if (rng.below(4) == 0) {
                for (const SnapshotId id : index.latest(kOrigin, 1 + rng.below(3))) {
                    index.touch(id);
                }
                continue;
            }
            if (auto gone = index.make_room(bytes); gone.has_value()) {
                remove(*gone);
                EXPECT_LE(index.bytes() + bytes, index.budget());
            }
            const std::string file = std::to_string(who) + "-" + std::to_string(tokens);
            on_disk.insert(file);
            remove(index.add(snapshot(file, conversation(who, tokens), bytes.count())));
            EXPECT_LE(index.bytes(), index.budget());
            EXPECT_EQ(on_disk.size(), index.size());
        }
    }
}

}  // namespace
}  // namespace drover::snapshots
