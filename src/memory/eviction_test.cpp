#include "memory/eviction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::memory {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{};

Footprint gib(std::int64_t size) {
    return Footprint::host(1_GiB * size);
}

/// One that was visited `times` times in a row, the last time at `last`.
Usage used(Visit times, Visit last) {
    Usage usage;
    for (Visit visit = last - times + 1; visit <= last; ++visit) {
        usage.note(visit);
    }
    return usage;
}

double worth(const Usage& usage, Duration load_time, const Footprint& held) {
    return keep_value(EvictionPolicy::gdsf_64, usage, load_time, held);
}

Candidate candidate(std::uint64_t id, std::int64_t size, double value) {
    return {.rank = {.value = value, .instance = InstanceId{id}}, .held = gib(size)};
}

void put(IdleInstances& idle, const Candidate& one, TimePoint ripe_at) {
    idle.put(one.rank, one.held, ripe_at);
}

std::vector<std::uint64_t> ids(const Victims& victims) {
    std::vector<std::uint64_t> values;
    for (const InstanceId instance : victims.instances) {
        values.push_back(instance.value);
    }
    return values;
}

/// Values are of one byte, as logarithms; unless they are only ranks.
std::vector<std::uint64_t> choose(const std::vector<Candidate>& idle,
                                  const Footprint& missing,
                                  ValueScale scale = std::nullopt) {
    IdleInstances instances;
    for (const Candidate& one : idle) {
        instances.put(one.rank, one.held, kStart);
    }
    instances.age(kStart);
    return ids(instances.choose(missing, scale, false));
}

TEST(KeepValue, GrowsWithUseAndLoadTimeAndShrinksWithBytes) {
    const double base = worth(used(3, 10), seconds(2), gib(4));
    EXPECT_GT(worth(used(5, 10), seconds(2), gib(4)), base);
    EXPECT_GT(worth(used(3, 10), seconds(9), gib(4)), base);
    EXPECT_LT(worth(used(3, 10), seconds(2), gib(8)), base);
}

TEST(KeepValue, ForgetsOldUseSoonerWithAShorterMemory) {
    const Usage habit = used(30, 30);
    const Usage session = used(4, 44);
    const auto value = [](EvictionPolicy policy, const Usage& usage) {
        return keep_value(policy, usage, seconds(1), gib(1));
    };
    EXPECT_LT(value(EvictionPolicy::gdsf_4, habit), value(EvictionPolicy::gdsf_4, session));
    EXPECT_LT(value(EvictionPolicy::lru, habit), value(EvictionPolicy::lru, session));
    EXPECT_GT(value(EvictionPolicy::gdsf_512, habit), value(EvictionPolicy::gdsf_512, session));
}

TEST(KeepValue, OrdersAsTheDecayingCountsDoAtAnyTime) {
    const Usage a = used(9, 20);
    const Usage b = used(2, 60);
    for (std::size_t memory = 0; memory < Usage::kMemories.size(); ++memory) {
        for (const Visit now : {60U, 600U}) {
            EXPECT_EQ(a.at(memory, now) < b.at(memory, now), a.rank(memory) < b.rank(memory));
        }
    }
}

TEST(KeepValue, OfTheNeverUsedIsLowestButStillComparable) {
    const double never = worth(Usage(), seconds(100), gib(1));
    EXPECT_LT(never, worth(used(1, 1), Duration(0), gib(1000)));
    EXPECT_EQ(never, worth(Usage(), seconds(1), gib(1)));
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

TEST(Eviction, LosesTheLeastInAllRatherThanTheLeastPerByte) {
    // Per byte the large one is worth less, but 1 GiB is all that is missing.
    EXPECT_EQ(choose({candidate(1, 8, -2), candidate(2, 1, -1)}, gib(1), 0.0),
              (std::vector<std::uint64_t>{2}));
    EXPECT_EQ(choose({candidate(1, 8, -2), candidate(2, 1, -1)}, gib(1)),
              (std::vector<std::uint64_t>{1}));
    // Two that are small and cheap beat one that is large.
    EXPECT_EQ(
        choose({candidate(1, 2, -3), candidate(2, 2, -2), candidate(3, 9, -1.9)}, gib(4), 0.0),
        (std::vector<std::uint64_t>{1, 2}));
}

TEST(Eviction, LosesAtMostTwiceTheLeastPossible) {
    Rng rng(7);
    for (int round = 0; round < 500; ++round) {
        std::vector<Candidate> idle;
        const std::size_t count = 1 + rng.below(9);
        for (std::uint64_t id = 1; id <= count; ++id) {
            idle.push_back(candidate(id, rng.between(1, 20), -4 * rng.unit()));
        }
        const Footprint missing = gib(rng.between(1, 30));
        const auto loss = [&](std::uint64_t one) {
            const Candidate& it = idle.at(one - 1);
            return std::exp(it.rank.value) * static_cast<double>(it.held.total().count());
        };
        double least = std::numeric_limits<double>::infinity();
        for (std::uint64_t some = 1; some < (1U << count); ++some) {
            Footprint freed;
            double sum = 0;
            for (std::uint64_t id = 1; id <= count; ++id) {
                if ((some >> (id - 1) & 1U) != 0) {
                    freed += idle.at(id - 1).held;
                    sum += loss(id);
                }
            }
            least = missing.fits(freed) ? std::min(least, sum) : least;
        }
        const std::vector<std::uint64_t> victims = choose(idle, missing, 0.0);
        EXPECT_EQ(victims.empty(), std::isinf(least));
        double lost = 0;
        Footprint freed;
        for (const std::uint64_t victim : victims) {
            lost += loss(victim);
            freed += idle.at(victim - 1).held;
        }
        EXPECT_TRUE(victims.empty() || missing.fits(freed));
        EXPECT_LE(lost, 2 * least * (1 + 1e-9));
    }
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
    EXPECT_EQ(choose({important, candidate(2, 4, 50), retiring}, gib(4), 50.0),
              (std::vector<std::uint64_t>{3}));
    EXPECT_EQ(choose({important, candidate(2, 4, 50)}, gib(4), 50.0),
              (std::vector<std::uint64_t>{2}));
}

TEST(Eviction, BreaksTiesByLastUse) {
    Candidate older = candidate(2, 4, 1);
    Candidate newer = candidate(1, 4, 1);
    newer.rank.last_used = kStart + seconds(1);
    EXPECT_EQ(choose({newer, older}, gib(4)), (std::vector<std::uint64_t>{2}));
}

TEST(IdleInstances, ProtectTheYoungUntilTheyAreRipe) {
    IdleInstances idle;
    put(idle, candidate(1, 4, 1), kStart);
    put(idle, candidate(2, 4, 2), kStart + seconds(2));
    idle.age(kStart);
    EXPECT_EQ(idle.next_ripe(), kStart + seconds(2));
    EXPECT_EQ(ids(idle.choose(gib(4), std::nullopt, false)), (std::vector<std::uint64_t>{1}));
    EXPECT_TRUE(idle.choose(gib(8), std::nullopt, false).empty());
    EXPECT_EQ(ids(idle.choose(gib(8), std::nullopt, true)), (std::vector<std::uint64_t>{1, 2}));
    idle.age(kStart + seconds(2));
    EXPECT_EQ(idle.next_ripe(), TimePoint::max());
    EXPECT_EQ(ids(idle.choose(gib(8), std::nullopt, false)), (std::vector<std::uint64_t>{1, 2}));
}

TEST(IdleInstances, DoNotSacrificeAMoreValuableOneForAYoungOne) {
    IdleInstances idle;
    put(idle, candidate(1, 4, 1), kStart + seconds(2));
    put(idle, candidate(2, 4, 2), kStart);
    idle.age(kStart);
    EXPECT_TRUE(idle.choose(gib(4), std::nullopt, false).empty());
    EXPECT_EQ(ids(idle.choose(gib(4), std::nullopt, true)), (std::vector<std::uint64_t>{1}));
}

TEST(IdleInstances, OfferWhatHelpsWhenNothingSuffices) {
    IdleInstances idle;
    put(idle, candidate(1, 4, 1), kStart + seconds(2));
    EXPECT_EQ(ids(idle.choose_what_helps(gib(100), std::nullopt)), (std::vector<std::uint64_t>{1}));
}

TEST(IdleInstances, ForgetWhoIsRemovedYoungOrRipe) {
    IdleInstances idle;
    put(idle, candidate(1, 4, 1), kStart);
    put(idle, candidate(2, 3, 1), kStart + seconds(9));
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
