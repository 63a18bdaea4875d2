#include "router/isotonic.hpp"

#include <algorithm>
#include <cmath>

namespace drover::router {

namespace {

/// Neighbouring observations that share one probability.
struct Pool {
    double scores = 0;  ///< their sum
    double positives = 0;
    double count = 0;

    double mean() const { return positives / count; }
    void add(const Pool& other) {
        scores += other.scores;
        positives += other.positives;
        count += other.count;
    }
};

}  // namespace

std::vector<Knot> fit_isotonic(std::vector<Observation> observations, std::size_t knots_max) {
    std::sort(observations.begin(),
              observations.end(),
              [](const Observation& a, const Observation& b) { return a.score < b.score; });
    std::vector<Pool> pools;
    for (std::size_t i = 0; i < observations.size();) {
        Pool pool;
        const float score = observations[i].score;
        for (; i < observations.size() && observations[i].score == score; ++i) {
            pool.add({score, observations[i].positive ? 1.0 : 0.0, 1.0});
        }
        while (!pools.empty() && pools.back().mean() >= pool.mean()) {
            pool.add(pools.back());
            pools.pop_back();
        }
        pools.push_back(pool);
    }
    // Small neighbours join until few are left: a knot of one observation is noise.
    while (pools.size() > knots_max) {
        std::size_t least = 1;
        for (std::size_t i = 1; i < pools.size(); ++i) {
            if (pools[i].count + pools[i - 1].count < pools[least].count + pools[least - 1].count) {
                least = i;
            }
        }
        pools[least - 1].add(pools[least]);
        pools.erase(pools.begin() + static_cast<std::ptrdiff_t>(least));
    }
    std::vector<Knot> knots;
    for (const Pool& pool : pools) {
        knots.push_back(
            {static_cast<float>(pool.scores / pool.count), static_cast<float>(pool.mean())});
    }
    return knots;
}

bool is_calibration(std::span<const Knot> knots) {
    for (std::size_t i = 0; i < knots.size(); ++i) {
        if (!std::isfinite(knots[i].score) ||
            !(knots[i].probability >= 0 && knots[i].probability <= 1) ||
            (i > 0 && !(knots[i - 1].score < knots[i].score))) {
            return false;
        }
    }
    return true;
}

float calibrated(std::span<const Knot> knots, float score) {
    if (knots.empty()) {
        return 0.5F;
    }
    const auto right =
        std::upper_bound(knots.begin(), knots.end(), score, [](float value, const Knot& knot) {
            return value < knot.score;
        });
    if (right == knots.begin()) {
        return knots.front().probability;
    }
    if (right == knots.end()) {
        return knots.back().probability;
    }
    const Knot& left = *(right - 1);
    const float part = (score - left.score) / (right->score - left.score);
    return left.probability + part * (right->probability - left.probability);
}

}  // namespace drover::router
