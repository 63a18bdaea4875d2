// From an answer's score to the probability that it is right, and the file that keeps it. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "router/isotonic.hpp"

namespace drover::router {

/// Isotonic regression on scored answers.
struct Calibration {
    std::vector<Knot> knots{};
    std::uint32_t examples = 0;  ///< that it was fitted to
    double error = 0;            ///< expected calibration error on examples it had not seen

    /// The probability that an answer with this score is right; without knots the score itself.
    float probability(float score) const {
        return knots.empty() ? score : calibrated(knots, score);
    }
};

/// Fits to `answers`; `error` comes from five folds, each judged by what was fitted to the others.
/// REQUIRES: at least one answer.
Calibration fit_calibration(std::vector<Observation> answers, std::uint64_t seed);

/// A JSON document: {"drover": "cascade", "version": 1, "examples", "error", "knots": [[score,
/// probability], ...]}.
std::string to_text(const Calibration& calibration);

/// `invalid_argument` says what is wrong: scores must ascend, probabilities must not descend.
Result<Calibration> parse_calibration(std::string_view text);

/// One scored answer a line, as JSON: {"score": 0.42, "correct": true}; "confidence" means "score",
/// too. `invalid_argument` names the line.
Result<std::vector<Observation>> parse_scored_answers(std::string_view jsonl);

}  // namespace drover::router
