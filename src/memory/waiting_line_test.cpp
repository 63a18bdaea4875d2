#include "memory/waiting_line.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace drover::memory {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{};

WaitingLine::Place place(std::uint64_t model, int since, int owed_at, int priority = 0) {
    return {.importance = -priority,
            .since = kStart + seconds(since),
            .owed_at = kStart + seconds(owed_at),
            .model = ModelId{model}};
}

std::vector<std::uint64_t> order(const WaitingLine& line) {
    std::vector<std::uint64_t> models;
    line.visit([&](const WaitingLine::Place& one, bool) {
        models.push_back(one.model.value);
        return true;
    });
    return models;
}

TEST(WaitingLine, GoesByPriorityThenByAge) {
    WaitingLine line;
    line.put(place(1, 5, 100));
    line.put(place(2, 3, 100));
    line.put(place(3, 9, 100, 1));
    EXPECT_EQ(order(line), (std::vector<std::uint64_t>{3, 2, 1}));
}

TEST(WaitingLine, PutsThoseThatAreOwedMemoryBeforeAnyPriority) {
    WaitingLine line;
    line.put(place(1, 0, 10));
    line.put(place(2, 1, 11));
    line.put(place(3, 2, 99, 7));
    EXPECT_EQ(line.next_owed(), kStart + seconds(10));
    line.age(kStart + seconds(11));
    EXPECT_EQ(order(line), (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(line.next_owed(), kStart + seconds(99));
}

TEST(WaitingLine, LetsTheVisitorRemoveTheOneItSees) {
    WaitingLine line;
    const auto owed = place(1, 0, 10);
    const auto young = place(2, 1, 99);
    line.put(owed);
    line.put(young);
    line.age(kStart + seconds(10));
    line.visit([&](const WaitingLine::Place& one, bool) {
        line.remove(one);
        return true;
    });
    EXPECT_TRUE(line.empty());
    EXPECT_EQ(line.next_owed(), TimePoint::max());
}

TEST(WaitingLine, StopsWhenTheVisitorHasSeenEnough) {
    WaitingLine line;
    line.put(place(1, 0, 10));
    line.put(place(2, 1, 11));
    int seen = 0;
    line.visit([&](const WaitingLine::Place&, bool owed) {
        EXPECT_FALSE(owed);
        ++seen;
        return false;
    });
    EXPECT_EQ(seen, 1);
}

TEST(WaitingLine, NeverOwesMemoryToALoadThatNobodyWaitsFor) {
    WaitingLine line;
    line.put({.since = TimePoint::max(), .owed_at = TimePoint::max(), .model = ModelId{1}});
    EXPECT_EQ(line.next_owed(), TimePoint::max());
}

/// Requests of one moment are in order as others are: also those that are owed, whatever their
/// model's number or priority is.
TEST(WaitingLine, GoesByTicketWhereTimesAreEqual) {
    WaitingLine line;
    WaitingLine::Place later = place(1, 0, 10, 5);
    WaitingLine::Place earlier = place(2, 0, 10);
    later.ticket = 8;
    earlier.ticket = 7;
    line.put(later);
    line.put(earlier);
    EXPECT_EQ(order(line), (std::vector<std::uint64_t>{1, 2}));
    line.age(kStart + seconds(10));
    EXPECT_EQ(order(line), (std::vector<std::uint64_t>{2, 1}));
    line.remove(earlier);
    line.remove(later);
    EXPECT_TRUE(line.empty());
}

}  // namespace
}  // namespace drover::memory
