// Training, the predictor's file, and what happens to a file that somebody changed.
#include "router/predictor.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "router/trainer.hpp"

namespace drover::router {
namespace {

/// Prompts of two kinds that a linear head can tell apart, from three sources each.
Dataset lessons(Purpose purpose) {
    std::string lines;
    Rng rng(5);
    const std::string_view words[] = {"river", "stone", "cloud", "garden", "window", "paper"};
    for (int i = 0; i < 240; ++i) {
        const bool hard = i % 2 == 1;
        std::string prompt = hard ? "derive the tensor " : "name a colour ";
        for (int k = 0; k < 6; ++k) {
            prompt += std::string(words[rng.below(6)]) + " ";
        }
        const std::string outcome =
            purpose == Purpose::task
                ? std::string("\"label\": \"") + (hard ? "hard" : "easy") + "\""
                : std::string("\"strong\": true, \"weak\": ") + (hard ? "false" : "true");
        lines += "{\"prompt\": \"" + prompt + "\", " + outcome + ", \"source\": \"" +
                 std::to_string(i % 3) + "\"}\n";
    }
    auto data = parse_dataset(lines);
    EXPECT_TRUE(data.ok());
    return std::move(*data);
}

TrainOptions small_options() {
    TrainOptions options;
    options.features = {.bits = 10, .words = 2, .pieces = 4};
    options.boost.trees = 5;
    return options;
}

std::string trained(const Dataset& data) {
    const TrainOptions options = small_options();
    const auto features = read_features(data, options.features);
    std::vector<std::uint32_t> all(data.examples.size());
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        all[i] = i;
    }
    const auto unseen = cross_validate(data, features, random_folds(data, 3, 1), options);
    return calibrate(train(data, features, all, options), data, unseen);
}

Prediction predict(std::string_view image, std::string_view prompt) {
    const auto predictor = Predictor::open(image);
    EXPECT_TRUE(predictor.ok());
    FeatureVector features;
    Featurizer(predictor->facts().features).read(prompt, features);
    return predictor->predict(features);
}

TEST(Trainer, LearnsToTellTwoKindsApart) {
    const Dataset data = lessons(Purpose::task);
    const std::string image = trained(data);
    EXPECT_EQ(data.labels[predict(image, "derive the tensor of a stone").label], "hard");
    EXPECT_EQ(data.labels[predict(image, "name a colour of paper").label], "easy");
    EXPECT_GT(predict(image, "name a colour of paper").confidence, 0.9F);
}

TEST(Trainer, GivesTheSameFileForTheSameSeed) {
    const Dataset data = lessons(Purpose::complexity);
    EXPECT_EQ(trained(data), trained(data));
}

TEST(Trainer, LearnsWhereOnlyTheStrongModelIsRight) {
    const std::string image = trained(lessons(Purpose::complexity));
    const float hard = predict(image, "derive the tensor of a cloud").score;
    const float easy = predict(image, "name a colour of a cloud").score;
    EXPECT_GT(hard, easy + 0.5F);
    EXPECT_GT(predict(image, "derive the tensor of a cloud").confidence, 0.9F);
    const auto predictor = Predictor::open(image);
    ASSERT_TRUE(predictor.ok());
    EXPECT_GT(apgr(predictor->facts().frontier), 0.7);
}

TEST(Trainer, TreesSeeWhatWordsTogetherMean) {
    // Many numbers or a long text alone make it hard, both together do not.
    std::string lines;
    Rng rng(6);
    for (int i = 0; i < 1200; ++i) {
        const bool numbers = rng.chance(0.5);
        const bool is_long = rng.chance(0.5);
        std::string prompt;
        for (int k = 0; k < (is_long ? 40 : 8); ++k) {
            prompt += numbers ? std::to_string(rng.below(100)) + " " : std::string("word ");
        }
        lines += "{\"prompt\": \"" + prompt +
                 "\", \"strong\": true, \"weak\": " + (numbers == is_long ? "true" : "false") +
                 "}\n";
    }
    const auto data = parse_dataset(lines);
    ASSERT_TRUE(data.ok());
    TrainOptions options = small_options();
    const auto features = read_features(*data, options.features);
    const auto quality = [&](std::size_t trees) {
        options.boost.trees = trees;
        const auto unseen = cross_validate(*data, features, random_folds(*data, 3, 1), options);
        return apgr(frontier(outcomes(*data, unseen)));
    };
    EXPECT_GT(quality(30), 0.74);  // 0.75 is perfect where a half needs the strong model
    EXPECT_LT(quality(0), 0.74);
}

TEST(Trainer, LearnsNothingFromWhatIsHeldOut) {
    // Labels by chance: whoever sees the held-out ones does better than chance.
    Dataset data = lessons(Purpose::task);
    Rng rng(9);
    for (Example& example : data.examples) {
        example.label = static_cast<std::uint32_t>(rng.below(2));
    }
    const auto features = read_features(data, small_options().features);
    const auto predictions =
        cross_validate(data, features, random_folds(data, 5, 2), small_options());
    int right = 0;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
        right += predictions[i].label == data.examples[i].label ? 1 : 0;
    }
    EXPECT_NEAR(right / 240.0, 0.5, 0.1);
}

TEST(Folds, HoldEveryExampleOnce) {
    const Dataset data = lessons(Purpose::task);
    for (const Folds& folds :
         {random_folds(data, 7, 1), group_folds(data, 2), group_folds(data, 0)}) {
        std::vector<int> seen(data.examples.size());
        for (const auto& fold : folds) {
            for (const std::uint32_t index : fold) {
                ++seen[index];
            }
        }
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 240);
    }
    EXPECT_EQ(group_folds(data, 0).size(), 3U);
}

TEST(Dataset, NamesTheLineThatIsWrong) {
    const auto message = [](std::string_view text) {
        const auto data = parse_dataset(text);
        return data.ok() ? std::string() : data.error().message;
    };
    const std::string good = "{\"prompt\": \"a\", \"label\": \"x\"}\n";
    EXPECT_EQ(message(good + "{\"prompt\": \"b\", \"label\": \"y\"}\n"), "");
    EXPECT_NE(message(good + "nonsense").find("line 2 is not a JSON object"), std::string::npos);
    EXPECT_NE(message(good + "{\"label\": \"x\"}").find("line 2 has no text"), std::string::npos);
    EXPECT_NE(message("").find("no examples"), std::string::npos);
    EXPECT_NE(message(good + "{\"prompt\": \"b\", \"weak\": 1, \"strong\": 0}").find("line 2"),
              std::string::npos);
}

TEST(Dataset, ReadsOutcomesOfNamedModels) {
    const auto data =
        parse_dataset("{\"prompt\": \"a\", \"correct\": {\"small\": 0.2, \"large\": true}}",
                      {.weak = "small", .strong = "large"});
    ASSERT_TRUE(data.ok());
    EXPECT_FALSE(data->examples[0].weak);
    EXPECT_TRUE(data->examples[0].strong);
}

TEST(Dataset, TakesTheLabelsOfAPredictor) {
    auto data = parse_dataset("{\"prompt\": \"a\", \"label\": \"math\"}");
    ASSERT_TRUE(data.ok());
    EXPECT_FALSE(take_labels(*data, {"chat", "code"}).ok());
    EXPECT_EQ(data->examples[0].label, 0U);
    ASSERT_TRUE(take_labels(*data, {"chat", "code", "math"}).ok());
    EXPECT_EQ(data->examples[0].label, 2U);
    EXPECT_EQ(data->labels.size(), 3U);
}

TEST(Predictor, RefusesEveryFileThatWasCutOff) {
    const std::string image = trained(lessons(Purpose::task));
    for (std::size_t size = 0; size < image.size(); size += size < 400 ? 1 : 97) {
        EXPECT_FALSE(Predictor::open(std::string_view(image).substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(Predictor::open(image + "x").ok());
}

/// The checksum again, as somebody would make it who means harm.
std::string with_checksum(std::string image) {
    const std::uint64_t sum = fnv64(std::string_view(image).substr(0, image.size() - 8));
    std::memcpy(image.data() + image.size() - 8, &sum, 8);
    return image;
}

TEST(Predictor, SurvivesAnyBytesWithARightChecksum) {
    const std::string image = trained(lessons(Purpose::complexity));
    FeatureVector features;
    Rng rng(1);
    int accepted = 0;
    const std::size_t head = image.size() - Predictor::open(image)->table().size();
    for (int round = 0; round < 3000; ++round) {
        std::string bent = image;
        // Most changes hit the head, where sizes and numbers are.
        for (std::uint64_t i = 0; i <= rng.below(3); ++i) {
            bent[rng.below(rng.chance(0.9) ? head : bent.size() - 8)] =
                static_cast<char>(rng.below(256));
        }
        if (rng.chance(0.1)) {
            bent.resize(8 + rng.below(bent.size() - 8));
        }
        const std::string closed = with_checksum(std::move(bent));
        const auto predictor = Predictor::open(closed);
        if (predictor.ok()) {
            ++accepted;
            Featurizer(predictor->facts().features).read("derive the tensor 12", features);
            const Prediction prediction = predictor->predict(features);
            EXPECT_LT(prediction.label, kHeadsMax);
        }
    }
    EXPECT_GT(accepted, 0);
    EXPECT_LT(accepted, 3000);
}

}  // namespace
}  // namespace drover::router
