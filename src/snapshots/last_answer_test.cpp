#include "snapshots/last_answer.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace drover::snapshots {
namespace {

using Tokens = std::vector<std::int32_t>;

TEST(LastAnswer, BeginsAfterTheLastOpening) {
    const Tokens tokens{1, 2, 3, 10, 11, 5, 6, 7, 8, 10, 11, 9, 9};
    EXPECT_EQ(before_last_answer(tokens, Tokens{10, 11}), 11U - 3);
}

TEST(LastAnswer, IsNotThereWithoutAnOpening) {
    const Tokens tokens{1, 2, 3, 4, 5};
    EXPECT_EQ(before_last_answer(tokens, Tokens{7}), std::nullopt);
    EXPECT_EQ(before_last_answer(tokens, Tokens{}), std::nullopt);
    EXPECT_EQ(before_last_answer(tokens, Tokens{1, 2}), std::nullopt);
    EXPECT_EQ(before_last_answer(Tokens{}, Tokens{1}), std::nullopt);
}

}  // namespace
}  // namespace drover::snapshots
