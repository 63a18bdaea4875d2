#include "memory/successors.hpp"

#include <initializer_list>

#include <gtest/gtest.h>

namespace drover::memory {
namespace {

constexpr ModelId kA{1};
constexpr ModelId kB{2};
constexpr ModelId kC{3};

Successors after(std::initializer_list<ModelId> visits, int times) {
    Successors successors;
    for (int i = 0; i < times; ++i) {
        for (const ModelId model : visits) {
            successors.note(model);
        }
    }
    return successors;
}

TEST(Successors, AreExpectedOnceTheyHaveBecomeAHabit) {
    EXPECT_EQ(after({kA, kB, kC}, 2).expected_after(kA), std::nullopt);
    const Successors chain = after({kA, kB, kC}, 3);
    EXPECT_EQ(chain.expected_after(kA), kB);
    EXPECT_EQ(chain.expected_after(kB), kC);
    EXPECT_EQ(after({kA, kB, kC}, 4).expected_after(kC), kA);
}

TEST(Successors, AreNotExpectedWhereThereIsNoHabit) {
    EXPECT_EQ(after({kA, kB, kA, kC}, 9).expected_after(kA), std::nullopt);
    EXPECT_EQ(Successors().expected_after(kA), std::nullopt);
}

TEST(Successors, CountVisitsAndNotRequests) {
    Successors successors;
    EXPECT_TRUE(successors.note(kA));
    EXPECT_FALSE(successors.note(kA));
    EXPECT_TRUE(successors.note(kB));
    EXPECT_EQ(after({kA, kA, kA, kB}, 3).expected_after(kA), kB);
}

TEST(Successors, ForgetOldHabits) {
    Successors successors = after({kA, kB}, 100);
    for (int i = 0; i < 60; ++i) {
        successors.note(kA);
        successors.note(kC);
    }
    EXPECT_EQ(successors.expected_after(kA), kC);
}

}  // namespace
}  // namespace drover::memory
