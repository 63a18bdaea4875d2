// A model as the classifier of a route: for a small language model what it is asked and what its
// answer says; for one that embeds see embedding_request.hpp.
// Pure; any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "router/dataset.hpp"
#include "router/predictor.hpp"

namespace drover::router {

/// The labels of a classifier that tells complexity, in the order of Prediction::probabilities.
inline constexpr std::array<std::string_view, 2> kComplexityLabels{"easy", "hard"};

/// A model that is asked for the label of a prompt, or for its embedding.
struct Classifier {
    std::string model;
    Purpose purpose = Purpose::task;
    std::vector<std::string> labels{};        ///< different, not empty, at most kHeadsMax
    std::vector<std::string> meanings{};      ///< of the first labels; empty: the word says it
    double confidence = 0.5;                  ///< that a label needs, or `easy`
    std::chrono::milliseconds timeout{2000};  ///< from the asking to the answer, a load included
    std::uint32_t prompt_max = 2000;          ///< bytes of the prompt that it is shown
    /// Set: the model embeds, and these say what its vector means. They outlive this.
    const EmbeddingHeads* heads = nullptr;

    bool embeds() const { return heads != nullptr; }
};

/// What came of asking a classifier.
struct Classification {
    /// Unset: nothing of use. Of one that embeds its opinion alone; see Predictor::sum.
    std::optional<Prediction> prediction{};
    std::string failure{};  ///< why, then
    std::chrono::milliseconds took{};
    bool cached = false;  ///< the answer to the same prompt before
};

/// What the classifiers of a route said of one request; unset: not asked.
struct Classifications {
    std::optional<Classification> task{};
    std::optional<Classification> complexity{};
};

/// Who takes the request: servers elsewhere want a schema to be an object, which takes more tokens.
enum class SchemaShape {
    word,
    object
};

/// The beginning and the end of `text`, of `bytes` at most together, cut between characters.
std::string excerpt(std::string_view text, std::size_t bytes);

/// The body of a request to /v1/chat/completions that asks for the label of `text`: temperature 0,
/// few tokens, log-probabilities, and an answer that can be nothing but a label.
std::string classifier_body(const Classifier& classifier, std::string_view text, SchemaShape shape);

/// The label that such a request's answer names. Its confidence is how much likelier its tokens
/// were than those that spell the other labels; 1 where no log-probabilities are told. For
/// complexity the score is the probability of `hard`. `engine_failed`: it is no such answer.
Result<Prediction> read_classification(const Classifier& classifier, std::string_view answer);

}  // namespace drover::router
