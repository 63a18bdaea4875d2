// What `drover route eval` says of a predictor: as text for people and as a picture.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "router/dataset.hpp"
#include "router/metrics.hpp"
#include "router/predictor.hpp"

namespace drover::cli {

/// Predictions of examples that the predictor had not seen, with the truth.
struct Judged {
    const router::Dataset& data;
    std::span<const router::Prediction> predictions;  ///< one for each judged example
};

/// Accuracy and confusion, or APGR, CPT and the frontier, with 95 % confidence intervals.
std::string route_report(const Judged& judged);

/// What a threshold on a cascade's confidence would let through, and how right that would be.
std::string cascade_report(std::span<const router::Observation> answers, std::uint64_t seed);

/// Quality over the share of strong calls, beside random choice.
std::string frontier_svg(std::span<const router::FrontierPoint> points);

}  // namespace drover::cli
