#include "router/verdict.hpp"

#include <array>
#include <cstdio>

#include "base/text.hpp"

namespace drover::router {

namespace {

Opinion weak(std::string reason) {
    return {.verdict = Verdict::weak, .reason = std::move(reason)};
}

}  // namespace

Opinion judge(const Demands& demands, const Confidence& confidence, const Progress& progress) {
    if (progress.broken) {
        return weak("answer is not valid JSON, or no tool call that was offered");
    }
    const bool enough = confidence.tokens() >= demands.tokens && !progress.in_tool;
    if (!progress.ended && !enough && !progress.hurried) {
        return {};
    }
    if (progress.ended && progress.empty) {
        return weak("answer is empty");
    }
    if (confidence.tokens() == 0) {
        return weak(progress.hurried && !progress.ended ? "answer took too long"
                                                        : "answer tells no log-probabilities");
    }
    if (progress.in_tool && !progress.ended) {
        return weak("tool call took too long");
    }
    const float score = confidence.score();
    const float sure =
        demands.calibration == nullptr ? score : demands.calibration->probability(score);
    const bool good = sure >= static_cast<float>(demands.confidence);
    return {.verdict = good ? Verdict::good : Verdict::weak,
            .score = score,
            .confidence = sure,
            .reason = "confidence " + two_decimals(sure) +
                      (good ? " is at or above " : " is below ") +
                      two_decimals(demands.confidence)};
}

}  // namespace drover::router
