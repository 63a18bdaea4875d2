#include "router/confidence.hpp"

#include <algorithm>
#include <cmath>

namespace drover::router {

namespace {

/// So many tokens are looked at, the first ones: an answer's confidence takes bounded memory.
constexpr std::size_t kTokensMax = 4096;

/// Of ten tokens two are at most as certain.
constexpr double kQuantile = 0.2;

float probability(float logarithm) {
    return std::isnan(logarithm) ? 0.0F : std::exp(std::min(logarithm, 0.0F));
}

/// Linear between the two nearest.
float quantile(std::vector<float> values, double part) {
    const double place = part * static_cast<double>(values.size() - 1);
    const auto low = static_cast<std::size_t>(place);
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(low);
    std::nth_element(values.begin(), at, values.end());
    if (low + 1 == values.size()) {
        return *at;
    }
    const float next = *std::min_element(at + 1, values.end());
    return *at + static_cast<float>(place - static_cast<double>(low)) * (next - *at);
}

}  // namespace

void Confidence::add(TokenOdds odds) {
    ++tokens_;
    if (probabilities_.size() == kTokensMax) {
        return;
    }
    const float chosen = probability(odds.chosen);
    probabilities_.push_back(chosen);
    // A token that was drawn although another was likelier has no margin.
    margins_.push_back(std::max(chosen - probability(odds.runner_up), 0.0F));
}

float Confidence::score() const {
    if (probabilities_.empty()) {
        return 0;
    }
    return (quantile(probabilities_, kQuantile) + quantile(margins_, kQuantile)) / 2;
}

}  // namespace drover::router
