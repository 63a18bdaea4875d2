#include "router/embedding_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/assert.hpp"
#include "base/rng.hpp"

namespace drover::router {

namespace {

/// Neighbours that are kept: to ask as many takes a fifth of a millisecond.
constexpr std::size_t kNeighboursMax = 2048;

/// Weight of the examples (C). The vectors are dense and alike: with 10 the few passes of the
/// training do not arrive anywhere.
constexpr double kStrength = 1;

constexpr int kShareSteps = 8;

SparseRows rows_of(const EmbeddingLessons& lessons) {
    SparseRows rows;
    for (const std::uint32_t index : lessons.chosen) {
        const auto vector = lessons.embeddings[index];
        float squares = 1e-12F;
        for (const float number : vector) {
            squares += number * number;
        }
        rows.begin_row();
        for (std::uint32_t i = 0; i < vector.size(); ++i) {
            rows.add(i, vector[i] / std::sqrt(squares));
        }
    }
    return rows;
}

void append_steps(std::span<const float> numbers, std::string& table) {
    for (const signed char step : in_steps(numbers)) {
        table += static_cast<char>(step);
    }
}

/// Places in `lessons.chosen` of those that are kept, in order.
std::vector<std::uint32_t> neighbours_of(const EmbeddingLessons& lessons, std::uint64_t seed) {
    std::vector<std::uint32_t> places(lessons.chosen.size());
    std::iota(places.begin(), places.end(), 0U);
    Rng rng(seed);
    for (std::size_t i = places.size(); i > 1; --i) {
        std::swap(places[i - 1], places[rng.below(i)]);
    }
    places.resize(std::min(places.size(), kNeighboursMax));
    std::sort(places.begin(), places.end());
    return places;
}

double squared_error(std::span<const Opinions> opinions,
                     const EmbeddingShares& shares,
                     Purpose purpose,
                     std::size_t heads) {
    double error = 0;
    for (const Opinions& one : opinions) {
        const auto miss = [&](std::size_t head) {
            return shares.words * one.words[head] + shares.linear * one.linear[head] +
                   shares.nearest * one.nearest[head] - one.truths[head];
        };
        if (purpose == Purpose::complexity) {
            const double difference = miss(1) - miss(0);
            error += one.importance * difference * difference;
            continue;
        }
        for (std::size_t head = 0; head < heads; ++head) {
            error += one.importance * miss(head) * miss(head);
        }
    }
    return error;
}

}  // namespace

std::string train_embedding(const EmbeddingLessons& lessons,
                            const EmbeddingShares& shares,
                            std::uint64_t seed) {
    const SparseRows rows = rows_of(lessons);
    EmbeddingFacts facts{
        .model = lessons.embeddings.model, .size = lessons.embeddings.size, .shares = shares};
    std::string table;
    for (const std::vector<char>& truths : lessons.truths) {
        const Head head = train_head(
            rows, truths, lessons.importance, facts.size, {.strength = kStrength, .seed = seed});
        append_steps(head.weights, table);
        facts.scales.push_back(step_of(head.weights));
        facts.biases.push_back(head.bias);
    }
    std::string truths;
    for (const std::uint32_t place : neighbours_of(lessons, seed)) {
        append_steps(lessons.embeddings[lessons.chosen[place]], table);
        for (const std::vector<char>& of_head : lessons.truths) {
            truths += of_head[place];
        }
        ++facts.examples;
    }
    return embedding_part(facts, table, truths);
}

EmbeddingShares fit_shares(std::span<const Opinions> opinions, Purpose purpose, std::size_t heads) {
    EmbeddingShares best;
    double least = std::numeric_limits<double>::infinity();
    for (int linear = 0; linear <= kShareSteps; ++linear) {
        for (int nearest = 0; linear + nearest <= kShareSteps; ++nearest) {
            const auto share = [](int steps) {
                return static_cast<float>(steps) / kShareSteps;
            };
            const EmbeddingShares shares{.words = share(kShareSteps - linear - nearest),
                                         .linear = share(linear),
                                         .nearest = share(nearest)};
            const double error = squared_error(opinions, shares, purpose, heads);
            if (error < least) {
                least = error;
                best = shares;
            }
        }
    }
    return best;
}

}  // namespace drover::router
