// What is learnt from embeddings, the part of the file that keeps it, and what a model that embeds
// is asked.
#include "router/embedding_heads.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "router/embedding_request.hpp"
#include "router/policy.hpp"
#include "router/trainer.hpp"

namespace drover::router {
namespace {

constexpr std::uint32_t kSize = 8;

/// Prompts whose words say nothing of their labels.
Dataset wordless(Purpose purpose) {
    std::string lines;
    for (int i = 0; i < 200; ++i) {
        const bool yes = i % 2 == 1;
        const std::string outcome =
            purpose == Purpose::task
                ? std::string("\"label\": \"") + (yes ? "yes" : "no") + "\""
                : std::string("\"strong\": true, \"weak\": ") + (yes ? "false" : "true");
        lines += "{\"prompt\": \"the same\", " + outcome + ", \"source\": \"" +
                 std::to_string(i % 7) + "\"}\n";
    }
    auto data = parse_dataset(lines);
    EXPECT_TRUE(data.ok());
    return std::move(*data);
}

/// Vectors that tell the odd examples from the even ones, with noise.
Embeddings telling(const Dataset& data) {
    Embeddings embeddings{.model = "minilm", .size = kSize};
    Rng rng(3);
    for (std::size_t i = 0; i < data.examples.size(); ++i) {
        for (std::uint32_t k = 0; k < kSize; ++k) {
            const double noise = rng.unit() - 0.5;
            embeddings.values.push_back(
                static_cast<float>(noise + (k == 0 ? (i % 2 == 1 ? 1.0 : -1.0) : 0.0)));
        }
    }
    return embeddings;
}

const TrainOptions kOptions{.features = {.bits = 8, .words = 1, .pieces = 0}};

std::string trained(const Dataset& data, const Embeddings* embeddings) {
    std::vector<std::uint32_t> all(data.examples.size());
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        all[i] = i;
    }
    return train(data, read_features(data, kOptions.features), all, kOptions, embeddings);
}

std::vector<Prediction> unseen(const Dataset& data, const Embeddings* embeddings) {
    return cross_validate(data,
                          read_features(data, kOptions.features),
                          random_folds(data, 4, 1),
                          kOptions,
                          embeddings);
}

std::size_t right(const Dataset& data, const std::vector<Prediction>& predictions) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
        count += predictions[i].label == data.examples[i].label ? 1U : 0U;
    }
    return count;
}

TEST(EmbeddingHeads, TellWhatTheWordsDoNot) {
    const Dataset data = wordless(Purpose::task);
    const Embeddings embeddings = telling(data);
    EXPECT_LT(right(data, unseen(data, nullptr)), 130U);
    EXPECT_GT(right(data, unseen(data, &embeddings)), 190U);
}

TEST(EmbeddingHeads, TellWhereOnlyTheStrongModelIsRight) {
    const Dataset data = wordless(Purpose::complexity);
    const Embeddings embeddings = telling(data);
    EXPECT_GT(apgr(frontier(outcomes(data, unseen(data, &embeddings)))), 0.7);
}

TEST(EmbeddingHeads, LinearWeightsAndNeighboursBothKnow) {
    const Dataset data = wordless(Purpose::task);
    const Embeddings embeddings = telling(data);
    const std::string image = trained(data, &embeddings);
    const auto predictor = Predictor::open(image);
    ASSERT_TRUE(predictor.ok());
    const EmbeddingHeads& heads = *predictor->embedding();
    std::array<float, kSize> vector{};
    vector[0] = 5;  // its length says nothing
    EXPECT_GT(heads.linear(vector)[1], 0.9F);
    EXPECT_GT(heads.nearest(vector)[1], 0.9F);
    vector[0] = -0.1F;
    EXPECT_GT(heads.linear(vector)[0], 0.9F);
    EXPECT_GT(heads.nearest(vector)[0], 0.9F);
    EXPECT_EQ(heads.facts().model, "minilm");
}

TEST(EmbeddingHeads, HaveACalibrationOfTheirOwn) {
    const Dataset data = wordless(Purpose::task);
    const Embeddings embeddings = telling(data);
    const std::string image =
        calibrate(calibrate(trained(data, &embeddings), data, unseen(data, nullptr)),
                  data,
                  unseen(data, &embeddings),
                  PredictedBy::sum);
    const auto predictor = Predictor::open(image);
    ASSERT_TRUE(predictor.ok());
    const auto features = read_features(data, kOptions.features);
    EXPECT_LT(predict(*predictor, features[1], nullptr, 1).confidence, 0.7F);
    EXPECT_GT(predict(*predictor, features[1], &embeddings, 1).confidence, 0.9F);
}

TEST(EmbeddingHeads, ShareTheSumByWhoIsRight) {
    std::vector<Opinions> opinions;
    for (std::size_t i = 0; i < 20; ++i) {
        Opinions one{.words = {0.5F, 0.5F}, .linear = {0.2F, 0.8F}, .truths = {}};
        one.truths[i % 2] = 1;
        one.nearest[i % 2] = 1;
        opinions.push_back(one);
    }
    EXPECT_EQ(fit_shares(opinions, Purpose::task, 2).nearest, 1.0F);
    for (Opinions& one : opinions) {
        std::swap(one.words, one.nearest);
    }
    EXPECT_EQ(fit_shares(opinions, Purpose::task, 2).words, 1.0F);
}

TEST(EmbeddingHeads, AreAPartThatAFileNeedNotHave) {
    const Dataset data = wordless(Purpose::task);
    const std::string image = trained(data, nullptr);
    EXPECT_EQ(image[8], 1);  // the version of before there were any
    const auto predictor = Predictor::open(image);
    ASSERT_TRUE(predictor.ok());
    EXPECT_FALSE(predictor->embedding().has_value());
}

TEST(EmbeddingHeads, SurviveAnyBytesWithARightChecksum) {
    const Dataset data = wordless(Purpose::task);
    const Embeddings embeddings = telling(data);
    const std::string image = trained(data, &embeddings);
    const auto whole = Predictor::open(image);
    ASSERT_TRUE(whole.ok());
    const std::size_t begin = image.size() - 8 - whole->embedding_part().size();
    Rng rng(1);
    int accepted = 0;
    for (int round = 0; round < 1000; ++round) {
        std::string bent = image;
        bent[begin + rng.below(rng.chance(0.8) ? 80 : whole->embedding_part().size())] =
            static_cast<char>(rng.below(256));
        if (rng.chance(0.1)) {
            bent.resize(begin + 8 + rng.below(whole->embedding_part().size()));
        }
        const std::uint64_t sum = fnv64(std::string_view(bent).substr(0, bent.size() - 8));
        std::memcpy(bent.data() + bent.size() - 8, &sum, 8);
        const auto predictor = Predictor::open(bent);
        if (predictor.ok() && predictor->embedding().has_value()) {
            ++accepted;
            const std::vector<float> vector(predictor->embedding()->facts().size, 0.5F);
            EXPECT_EQ(predictor->embedding()->opinion(vector).size(), kHeadsMax);
        }
    }
    EXPECT_GT(accepted, 0);
    EXPECT_LT(accepted, 1000);
}

TEST(EmbeddingRequest, ShowsTheBeginningAndTheEndOfALongText) {
    const std::string text = "begin" + std::string(5000, 'x') + "end";
    const std::string body = embedding_body("minilm", std::array{std::string_view(text)});
    EXPECT_NE(body.find("\"begin"), std::string::npos);
    EXPECT_NE(body.find("end\""), std::string::npos);
    EXPECT_LT(body.size(), kEmbeddedBytes + 100);
}

TEST(EmbeddingRequest, PutsVectorsInTheOrderOfTheTexts) {
    const auto read = [](std::string_view answer, std::size_t count) {
        return read_embeddings(boost::json::parse(answer), count);
    };
    const auto vectors = read(
        R"({"data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]})", 2);
    ASSERT_TRUE(vectors.ok());
    EXPECT_EQ((*vectors)[1], (std::vector<float>{3, 4}));
    for (const std::string_view wrong :
         {R"({"data": [{"index": 0, "embedding": [1]}]})",
          R"({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]})",
          R"({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]})",
          R"({"data": [{"index": 0, "embedding": ["a"]}, {"index": 1, "embedding": [1]}]})",
          R"({"error": "no"})"}) {
        EXPECT_FALSE(read(wrong, 2).ok()) << wrong;
    }
}

TEST(EmbeddingRequest, TellsThatAnotherModelEmbedsInAnotherSize) {
    const Dataset data = wordless(Purpose::task);
    const Embeddings embeddings = telling(data);
    const std::string image = trained(data, &embeddings);
    const auto predictor = Predictor::open(image);
    ASSERT_TRUE(predictor.ok());
    const Classifier classifier{.model = "other", .heads = &*predictor->embedding()};
    const auto said =
        read_opinion(classifier, R"({"data": [{"index": 0, "embedding": [1, 2, 3]}]})");
    ASSERT_FALSE(said.ok());
    EXPECT_NE(said.error().message.find("have 3 numbers; the predictor was trained with 8 of "
                                        "'minilm'"),
              std::string::npos);
    EXPECT_TRUE(read_opinion(classifier,
                             R"({"data": [{"index": 0, "embedding": [1, 2, 3, 4, 5, 6, 7, 8]}]})")
                    .ok());
}

TEST(PolicyWithAnEmbedding, SumsWhatItSaysWithTheWords) {
    const Dataset data = wordless(Purpose::task);
    const Embeddings embeddings = telling(data);
    const std::string image = trained(data, &embeddings);
    const auto predictor = Predictor::open(image);
    ASSERT_TRUE(predictor.ok());
    Policy policy;
    policy.targets = {"yes-model", "no-model"};
    policy.task = PolicyTask{.predictor = &*predictor, .models = {{1, {0}}, {0, {1}}}};
    policy.task->classifier = Classifier{
        .model = "minilm", .labels = predictor->facts().labels, .heads = &*predictor->embedding()};
    const std::vector<TargetState> states(2, {.usable = true});
    RequestFacts facts{.text = "the same", .bytes = 8, .messages = 1};
    facts.endpoint = "chat";
    std::vector<Featurizer> featurizers;
    const auto decided = [&](const Classifications& asked, std::optional<Earlier> earlier) {
        return decide(policy, facts, states, earlier, featurizers, asked);
    };
    EXPECT_EQ(decided({}, std::nullopt).asks, Purpose::task);
    EXPECT_EQ(decided({}, Earlier{1, 0}).asks, Purpose::task);  // it takes little, so it is asked

    Prediction opinion;
    opinion.probabilities[1] = 1;
    const Decision said = decided({.task = Classification{.prediction = opinion}}, Earlier{1, 0});
    EXPECT_EQ(said.order.front(), 0U);
    EXPECT_NE(said.reason.find("(with minilm)"), std::string::npos) << said.reason;

    const Decision silent = decided({.task = Classification{.failure = "it is cold"}}, {});
    EXPECT_FALSE(silent.asks.has_value());
    EXPECT_LT(silent.task->confidence, 0.7F);  // the words know nothing
}

}  // namespace
}  // namespace drover::router
