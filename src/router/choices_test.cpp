#include "router/choices.hpp"

#include <string>

#include <gtest/gtest.h>

#include "router/features.hpp"

namespace drover::router {
namespace {

constexpr std::string_view kNumbers = "How many?\nA. 10\nB. 12\nC. 14 or 16\nD. none\nAnswer:";

TEST(Choices, AreToldByTheirShape) {
    const auto shape = choice_shape(kNumbers);
    ASSERT_TRUE(shape.has_value());
    EXPECT_EQ((*shape)[0], 3U);   // with a number
    EXPECT_EQ((*shape)[1], 2U);   // of numbers alone
    EXPECT_EQ((*shape)[6], 10U);  // all words differ
    const auto alike = choice_shape("Which?\nA) it is so\nB) it is not");
    ASSERT_TRUE(alike.has_value());
    EXPECT_EQ((*alike)[6], 6U);  // four of six
}

TEST(Choices, AreTwoAtLeastAndInOrder) {
    EXPECT_FALSE(choice_shape("Which?\nA. one").has_value());
    EXPECT_FALSE(choice_shape("Which?\nB. one\nC. two").has_value());
    EXPECT_FALSE(choice_shape("A. one B. two").has_value());
    EXPECT_FALSE(choice_shape("").has_value());
}

TEST(Choices, CountManyWordsOnce) {
    std::string text = "Which?\nA. same";
    for (int i = 0; i < 2000; ++i) {
        text += " word" + std::to_string(i);
    }
    EXPECT_TRUE(choice_shape(text + "\nB. same").has_value());
}

TEST(Choices, AreFeaturesOfThePrompt) {
    Featurizer featurizer({.bits = 16, .words = 1, .pieces = 0});
    // The same words, of which only one text has choices.
    const std::size_t plain = featurizer.read("How? A. ten B. two").hashed.size();
    EXPECT_EQ(featurizer.read("How?\nA. ten\nB. two").hashed.size(), plain + kChoiceMeasures);
}

}  // namespace
}  // namespace drover::router
