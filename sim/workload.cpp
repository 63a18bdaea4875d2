#include "workload.hpp"

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace drover::sim {

namespace {

constexpr double kZipfExponent = 0.9;
constexpr double kSessionEnds = 0.1;
constexpr double kHotShare = 0.97;
constexpr std::size_t kChains = 3;
constexpr std::size_t kChainLengthMax = 5;

}  // namespace

Workload::Workload(Pattern pattern, std::size_t models, std::size_t clients, Rng& rng)
    : pattern_(pattern), models_(models), rng_(rng), current_(clients), chain_of_(clients) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= models; ++rank) {
        sum += 1 / std::pow(static_cast<double>(rank), kZipfExponent);
        cumulative_.push_back(sum);
    }
    for (std::size_t i = 0; i < kChains; ++i) {
        std::vector<std::size_t> chain(1 + rng.below(kChainLengthMax));
        std::generate(chain.begin(), chain.end(), [&] { return rng.below(models); });
        chains_.push_back(std::move(chain));
    }
    for (std::size_t client = 0; client < clients; ++client) {
        current_[client] = zipf();
        chain_of_[client] = rng.below(kChains);
    }
}

std::size_t Workload::zipf() {
    const double point = rng_.unit() * cumulative_.back();
    const auto found = std::lower_bound(cumulative_.begin(), cumulative_.end(), point);
    return static_cast<std::size_t>(found - cumulative_.begin());
}

std::size_t Workload::next_model(std::size_t client) {
    switch (pattern_) {
        case Pattern::uniform:
            return rng_.below(models_);
        case Pattern::zipf:
            return zipf();
        case Pattern::sessions:
            if (rng_.chance(kSessionEnds)) {
                current_[client] = zipf();
            }
            return current_[client];
        case Pattern::chains: {
            const std::vector<std::size_t>& chain = chains_[chain_of_[client]];
            current_[client] = (current_[client] + 1) % chain.size();
            if (current_[client] == 0) {
                chain_of_[client] = rng_.below(kChains);
            }
            return chains_[chain_of_[client]][current_[client] % chains_[chain_of_[client]].size()];
        }
        case Pattern::hot_one:
            return rng_.chance(kHotShare) ? 0 : rng_.below(models_);
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover::sim
