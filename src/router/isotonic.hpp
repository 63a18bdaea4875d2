// A non-decreasing step from scores to probabilities. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace drover::router {

/// One corner of a calibration: scores from here on mean this probability.
struct Knot {
    float score;
    float probability;
};

/// A score and whether what it predicts came true.
struct Observation {
    float score;
    bool positive;
};

/// Isotonic regression by pooling adjacent violators (Ayer et al. 1955): the non-decreasing
/// function of the score with the least squared error. At most `knots_max` knots, the closest of
/// them merged; sorted by score. O(n log n).
std::vector<Knot> fit_isotonic(std::vector<Observation> observations, std::size_t knots_max = 64);

/// Whether knots from elsewhere can be used: scores ascend, probabilities are some.
bool is_calibration(std::span<const Knot> knots);

/// The probability at `score`, linear between knots and constant beyond them; 0.5 without knots.
float calibrated(std::span<const Knot> knots, float score);

}  // namespace drover::router
