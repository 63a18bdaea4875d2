// Trains what a predictor makes of embeddings. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "router/embedding_heads.hpp"
#include "router/linear.hpp"

namespace drover::router {

/// The vectors of all prompts of a data set, made by one model.
struct Embeddings {
    std::string model{};
    std::uint32_t size = 0;       ///< numbers in a vector
    std::vector<float> values{};  ///< of one example after the other

    std::span<const float> operator[](std::size_t example) const {
        return std::span(values).subspan(example * size, size);
    }
};

/// What is learnt from which examples.
struct EmbeddingLessons {
    const Embeddings& embeddings;
    std::span<const std::uint32_t> chosen;
    std::span<const std::vector<char>> truths;  ///< for each head, of each chosen one
    std::span<const float> importance;          ///< of each chosen one
};

/// The part of a predictor's file. At most 2,048 examples, by chance, are kept as neighbours.
std::string train_embedding(const EmbeddingLessons& lessons,
                            const EmbeddingShares& shares,
                            std::uint64_t seed);

/// What was said of one example by who has not seen it.
struct Opinions {
    Probabilities words{};
    Probabilities linear{};
    Probabilities nearest{};
    Probabilities truths{};  ///< what they should have said
    float importance = 1;
};

/// The shares, in steps of an eighth, with the least squared error: over all `heads` for tasks; for
/// complexity of the score, which is the difference of the two.
EmbeddingShares fit_shares(std::span<const Opinions> opinions, Purpose purpose, std::size_t heads);

}  // namespace drover::router
