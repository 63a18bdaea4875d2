// What a predictor makes of a prompt's embedding, where a model that embeds is at hand: linear
// heads and the nearest of the examples that it was trained on. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "router/dataset.hpp"
#include "router/isotonic.hpp"
#include "router/metrics.hpp"

namespace drover::router {

/// How much each opinion counts in the sum; not negative, 1 together.
struct EmbeddingShares {
    float words = 1;
    float linear = 0;
    float nearest = 0;
};

/// Everything but the weights and the examples.
struct EmbeddingFacts {
    std::string model{};     ///< that made the vectors in training
    std::uint32_t size = 0;  ///< numbers in a vector
    std::uint32_t examples = 0;
    EmbeddingShares shares{};
    std::vector<float> scales{};  ///< of each head's weights, which are bytes
    std::vector<float> biases{};
    std::vector<Knot> knots{};              ///< of the sum; see Prediction::confidence
    std::vector<FrontierPoint> frontier{};  ///< of the sum; complexity only
};

/// What vectors of another size are told: "have 3 numbers; the predictor was trained with ...".
std::string misfit(std::size_t size, const EmbeddingFacts& trained);

/// A view of the part of a predictor's file that is about embeddings.
class EmbeddingHeads {
  public:
    /// Checks `part` completely. `invalid_argument` says what is wrong. `part` outlives this.
    static Result<EmbeddingHeads> open(std::string_view part, Purpose purpose, std::size_t heads);

    /// Of each head what the linear weights and what the nearest examples say. `vector` has
    /// facts().size numbers and any length but 0. Time: size x (heads + examples).
    Probabilities linear(std::span<const float> vector) const;
    Probabilities nearest(std::span<const float> vector) const;

    /// Both together, by their shares: what is summed with the words' opinion, by sum().
    Probabilities opinion(std::span<const float> vector) const;
    Probabilities sum(const Probabilities& words, const Probabilities& opinion) const;

    const EmbeddingFacts& facts() const { return facts_; }
    /// As embedding_part() takes them.
    std::string_view table() const { return table_; }
    std::string_view truths() const { return truths_; }

  private:
    std::span<const signed char> row(std::size_t index) const;

    Purpose purpose_ = Purpose::task;
    EmbeddingFacts facts_;
    std::string_view table_;
    std::string_view truths_;
    std::vector<float> lengths_;  ///< of the examples as they are stored
};

/// The part's bytes. `table`: the signed weights of each head, then the signed numbers of each
/// example, facts.size each time; `truths`: of each example for each head 0 (no) or 1 (yes).
std::string embedding_part(const EmbeddingFacts& facts,
                           std::string_view table,
                           std::string_view truths);

/// `vector` in whole steps from -127 to 127, the largest number at an end, and what a step is.
std::vector<signed char> in_steps(std::span<const float> vector);
float step_of(std::span<const float> vector);

}  // namespace drover::router
