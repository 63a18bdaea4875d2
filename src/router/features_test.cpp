#include "router/features.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace drover::router {
namespace {

FeatureVector features_of(std::string_view text, FeatureOptions options = {}) {
    FeatureVector features;
    Featurizer(options).read(text, features);
    return features;
}

float total(const FeatureVector& features) {
    float sum = 0;
    for (const Feature& feature : features.hashed) {
        sum += feature.value;
    }
    return sum;
}

TEST(Featurizer, CountsWordsAndRunsOfWords) {
    EXPECT_EQ(total(features_of("One two", {.words = 1, .pieces = 0})), 2);
    EXPECT_EQ(total(features_of("One two", {.words = 2, .pieces = 0})), 4);
    EXPECT_EQ(features_of("so so so", {.words = 1, .pieces = 0}).hashed.size(), 1U);
}

TEST(Featurizer, DoesNotTellCaseOrTheValueOfANumber) {
    const auto equal = [](std::string_view a, std::string_view b) {
        const FeatureVector left = features_of(a);
        const FeatureVector right = features_of(b);
        return std::equal(left.hashed.begin(),
                          left.hashed.end(),
                          right.hashed.begin(),
                          right.hashed.end(),
                          [](const Feature& x, const Feature& y) {
                              return x.bucket == y.bucket && x.value == y.value;
                          });
    };
    EXPECT_TRUE(equal("Add 123 PLEASE", "add 456 please"));
    EXPECT_FALSE(equal("add 123", "add 1234"));
}

TEST(Featurizer, GivesTheSameAfterAnotherText) {
    Featurizer featurizer({});
    FeatureVector first;
    featurizer.read("def f(x): return x", first);
    FeatureVector other;
    featurizer.read("something else entirely", other);
    featurizer.read("def f(x): return x", other);
    ASSERT_EQ(first.hashed.size(), other.hashed.size());
    EXPECT_EQ(first.hashed.front().bucket, other.hashed.front().bucket);
    EXPECT_EQ(first.surface, other.surface);
}

TEST(Featurizer, TakesAnyBytesAndBoundsWhatItReads) {
    std::string bytes;
    for (int i = 0; i < 100'000; ++i) {
        bytes += static_cast<char>(i * 7919 >> 3);
    }
    const FeatureVector features = features_of(bytes);
    EXPECT_LT(total(features), 8.0F * (kTextHead + kTextTail));
    for (const Feature& feature : features.hashed) {
        EXPECT_LT(feature.bucket, 1U << 16);
    }
    EXPECT_TRUE(features_of("").hashed.empty());
}

TEST(Marks, KnowCodeAndSums) {
    EXPECT_EQ(mark_of(word_hash("elif")), Mark::syntax);
    EXPECT_EQ(mark_of(word_hash("python")), Mark::software);
    EXPECT_EQ(mark_of(word_hash("hypotenuse")), Mark::formal);
    EXPECT_EQ(mark_of(word_hash("altogether")), Mark::quantity);
    EXPECT_EQ(mark_of(word_hash("seagull")), Mark::none);
    EXPECT_EQ(mark_of(0), Mark::none);
}

}  // namespace
}  // namespace drover::router
