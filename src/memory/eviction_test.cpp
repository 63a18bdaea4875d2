#include "memory/eviction.hpp"

#include <gtest/gtest.h>

namespace drover::memory {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kStart{};

Footprint gib(std::int64_t size) {
    return Footprint::host(1_GiB * size);
}

Usage used(int times, TimePoint at) {
    Usage usage;
    for (int i = 0; i < times; ++i) {
        usage.note(at);
    }
    return usage;
}

Candidate candidate(std::uint64_t id, std::int64_t size, double value) {
    return {.rank = {.value = value, .instance = InstanceId{id}}, .held = gib(size)};
}

std::vector<std::uint64_t> ids(const std::vector<InstanceId>& instances) {
    std::vector<std::uint64_t> values;
    for (const InstanceId instance : instances) {
        values.push_back(instance.value);
    }
    return values;
}

std::vector<std::uint64_t> choose(const std::vector<Candidate>& idle, const Footprint& missing) {
    IdleInstances instances;
    for (const Candidate& one : idle) {
        instances.put(one, kStart);
    }
    instances.age(kStart);
    return ids(instances.choose(missing, false));
}

TEST(KeepValue, GrowsWithUseAndLoadTimeAndShrinksWithBytes) {
    const double base = keep_value(used(3, kStart), seconds(2), gib(4));
    EXPECT_GT(keep_value(used(5, kStart), seconds(2), gib(4)), base);
    EXPECT_GT(keep_value(used(3, kStart), seconds(9), gib(4)), base);
    EXPECT_LT(keep_value(used(3, kStart), seconds(2), gib(8)), base);
}

TEST(KeepValue, ForgetsOldUse) {
    EXPECT_GT(keep_value(used(2, kStart + minutes(30)), seconds(1), gib(1)),
              keep_value(used(50, kStart), seconds(1), gib(1)));
    EXPECT_LT(keep_value(used(2, kStart + seconds(30)), seconds(1), gib(1)),
              keep_value(used(50, kStart), seconds(1), gib(1)));
}

TEST(KeepValue, OrdersAsTheDecayingCountsDoAtAnyTime) {
    const Usage a = used(9, kStart);
    const Usage b = used(2, kStart + minutes(5));
    for (const TimePoint now : {kStart + minutes(5), kStart + minutes(60)}) {
        EXPECT_EQ(a.at(now) < b.at(now), a.rank() < b.rank());
    }
}

TEST(KeepValue, OfTheNeverUsedIsLowestButStillComparable) {
    const double never = keep_value(Usage(), seconds(100), gib(1));
    EXPECT_LT(never, keep_value(used(1, kStart), Duration(0), gib(1000)));
    EXPECT_EQ(never, keep_value(Usage(), seconds(1), gib(1)));
}

TEST(Eviction, TakesTheLeastValuableThatSuffice) {
    EXPECT_EQ(choose({candidate(1, 4, 3), candidate(2, 4, 1), candidate(3, 4, 2)}, gib(6)),
              (std::vector<std::uint64_t>{2, 3}));
}

TEST(Eviction, TakesNobodyWhenAllTogetherAreNotEnough) {
    EXPECT_TRUE(choose({candidate(1, 4, 1), candidate(2, 4, 2)}, gib(9)).empty());
}

TEST(Eviction, SparesTheSmallOnesThatALargerOneMakesUnnecessary) {
    EXPECT_EQ(choose({candidate(1, 1, 1), candidate(2, 2, 2), candidate(3, 8, 3)}, gib(8)),
              (std::vector<std::uint64_t>{3}));
    EXPECT_EQ(choose({candidate(1, 1, 1), candidate(2, 2, 2), candidate(3, 8, 3)}, gib(9)),
              (std::vector<std::uint64_t>{1, 3}));
}

TEST(Eviction, SparesThoseThatFreeNothingOnTheDeviceThatIsShort) {
    Footprint gpu;
    gpu[1] = 4_GiB;
    const Candidate on_gpu{.rank = {.value = 9, .instance = InstanceId{2}}, .held = gpu};
    Footprint missing;
    missing[1] = 2_GiB;
    EXPECT_EQ(choose({candidate(1, 4, 1), on_gpu}, missing), (std::vector<std::uint64_t>{2}));
}

TEST(Eviction, PutsPriorityAboveValueAndTheRetiringFirst) {
    Candidate important = candidate(1, 4, 1);
    important.rank.priority = 1;
    Candidate retiring = candidate(3, 4, 99);
    retiring.rank.stays = false;
    EXPECT_EQ(choose({important, candidate(2, 4, 50)}, gib(4)), (std::vector<std::uint64_t>{2}));
    EXPECT_EQ(choose({important, candidate(2, 4, 50), retiring}, gib(4)),
              (std::vector<std::uint64_t>{3}));
}

TEST(Eviction, BreaksTiesByLastUse) {
    Candidate older = candidate(2, 4, 1);
    Candidate newer = candidate(1, 4, 1);
    newer.rank.last_used = kStart + seconds(1);
    EXPECT_EQ(choose({newer, older}, gib(4)), (std::vector<std::uint64_t>{2}));
}

TEST(IdleInstances, ProtectTheYoungUntilTheyAreRipe) {
    IdleInstances idle;
    idle.put(candidate(1, 4, 1), kStart + seconds(2));
    idle.put(candidate(2, 4, 2), kStart);
    idle.age(kStart);
    EXPECT_EQ(idle.next_ripe(), kStart + seconds(2));
    EXPECT_EQ(ids(idle.choose(gib(4), false)), (std::vector<std::uint64_t>{2}));
    EXPECT_TRUE(idle.choose(gib(8), false).empty());
    EXPECT_EQ(ids(idle.choose(gib(8), true)), (std::vector<std::uint64_t>{1, 2}));
    idle.age(kStart + seconds(2));
    EXPECT_EQ(idle.next_ripe(), TimePoint::max());
    EXPECT_EQ(ids(idle.choose(gib(4), false)), (std::vector<std::uint64_t>{1}));
}

TEST(IdleInstances, OfferWhatHelpsWhenNothingSuffices) {
    IdleInstances idle;
    idle.put(candidate(1, 4, 1), kStart + seconds(2));
    EXPECT_EQ(ids(idle.choose_what_helps(gib(100))), (std::vector<std::uint64_t>{1}));
}

TEST(IdleInstances, ForgetWhoIsRemovedYoungOrRipe) {
    IdleInstances idle;
    idle.put(candidate(1, 4, 1), kStart);
    idle.put(candidate(2, 3, 1), kStart + seconds(9));
    idle.age(kStart);
    idle.remove(InstanceId{1});
    EXPECT_EQ(idle.total(), gib(3));
    idle.remove(InstanceId{2});
    idle.remove(InstanceId{2});
    EXPECT_EQ(idle.total(), Footprint());
    EXPECT_EQ(idle.size(), 0U);
}

}  // namespace
}  // namespace drover::memory
