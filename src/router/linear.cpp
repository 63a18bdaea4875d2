#include "router/linear.hpp"

#include <cmath>
#include <numeric>
#include <utility>

#include "base/assert.hpp"
#include "base/rng.hpp"

namespace drover::router {

namespace {

/// Newton steps for one example; three are usual.
constexpr int kStepsMax = 8;
constexpr double kStepMin = 1e-6;

/// The `a` with a = strength * (truth - sigmoid(margin + (a - before) * norm)).
double solved(double before, double margin, double norm, double truth, double strength) {
    double a = before;
    for (int i = 0; i < kStepsMax; ++i) {
        const double p = 1.0 / (1.0 + std::exp(-(margin + (a - before) * norm)));
        const double step = (a - strength * (truth - p)) / (1.0 + strength * p * (1.0 - p) * norm);
        a -= step;
        if (std::abs(step) < kStepMin) {
            break;
        }
    }
    return a;
}

}  // namespace

Head train_head(const SparseRows& rows,
                std::span<const char> truths,
                std::span<const float> importance,
                std::size_t columns,
                const HeadOptions& options) {
    DROVER_ASSERT(rows.size() == truths.size() && rows.size() == importance.size());
    std::vector<float> weights(columns);
    std::vector<double> duals(rows.size());
    std::vector<double> norms(rows.size(), 1.0);  // of the constant column that is the bias
    for (std::size_t row = 0; row < rows.size(); ++row) {
        for (const Feature& entry : rows[row]) {
            DROVER_ASSERT(entry.bucket < columns);
            norms[row] += static_cast<double>(entry.value) * entry.value;
        }
    }
    std::vector<std::uint32_t> order(rows.size());
    std::iota(order.begin(), order.end(), 0U);
    Rng rng(options.seed);
    double bias = 0;
    for (std::uint32_t pass = 0; pass < options.passes; ++pass) {
        for (std::size_t i = order.size(); i > 1; --i) {
            std::swap(order[i - 1], order[rng.below(i)]);
        }
        for (const std::uint32_t row : order) {
            double margin = bias;
            for (const Feature& entry : rows[row]) {
                margin += static_cast<double>(weights[entry.bucket]) * entry.value;
            }
            const double truth = truths[row] != 0 ? 1.0 : 0.0;
            const double strength = options.strength * importance[row];
            const double dual = solved(duals[row], margin, norms[row], truth, strength);
            const double change = dual - std::exchange(duals[row], dual);
            for (const Feature& entry : rows[row]) {
                weights[entry.bucket] += static_cast<float>(change * entry.value);
            }
            bias += change;
        }
    }
    return {std::move(weights), static_cast<float>(bias)};
}

}  // namespace drover::router
