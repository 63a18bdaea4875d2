// How good a predictor is. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "router/isotonic.hpp"

namespace drover::router {

/// One prompt that both models answered, and how much the predictor would rather have the strong
/// one.
struct Outcome {
    float score;
    bool weak;
    bool strong;
};

/// One trade between quality and cost: prompts with at least this score go to the strong model.
struct FrontierPoint {
    float threshold;
    float share;    ///< of the prompts that go to the strong model
    float quality;  ///< share of right answers
};

/// Quality for every share of strong calls, the best-scored first; from share 0 to 1. Equal scores
/// move together. REQUIRES: not empty.
std::vector<FrontierPoint> frontier(std::span<const Outcome> outcomes);

/// The same with at most `points` points at even shares.
std::vector<FrontierPoint> thinned(std::span<const FrontierPoint> points, std::size_t count);

/// Whether points from elsewhere can be used: shares ascend, qualities are some.
bool is_frontier(std::span<const FrontierPoint> points);

/// The quality at `share`, linear between points.
double quality_at(std::span<const FrontierPoint> points, double share);

/// Average performance gap recovered (RouteLLM, Ong et al. 2024): the mean over all shares of
/// (quality - weak) / (strong - weak). 0.5 is random, above 1 possible since the weak model is
/// sometimes right alone. 0 when both are equally good.
double apgr(std::span<const FrontierPoint> points);

/// Call-performance threshold: the least share of strong calls that recovers `part` of the gap.
double cpt(std::span<const FrontierPoint> points, double part);

/// Area under the ROC curve: the chance that a positive has a higher score than a negative.
double auc(std::span<const Observation> observations);

/// Expected calibration error of probabilities given as scores, in `bins` bins of equal count.
double calibration_error(std::vector<Observation> observations, std::size_t bins = 10);

struct Interval {
    double low;
    double high;
};

/// The middle 95 % of `statistic` over `rounds` samples of 0 .. size-1 with replacement.
Interval bootstrap(std::size_t size,
                   std::size_t rounds,
                   std::uint64_t seed,
                   const std::function<double(std::span<const std::uint32_t> sample)>& statistic);

/// Which label was taken for which.
class Confusion {
  public:
    explicit Confusion(std::size_t labels) : labels_(labels), counts_(labels * labels) {}
    void add(std::size_t truth, std::size_t guess) { ++counts_[truth * labels_ + guess]; }
    std::uint64_t count(std::size_t truth, std::size_t guess) const {
        return counts_[truth * labels_ + guess];
    }
    std::size_t labels() const { return labels_; }
    double accuracy() const;
    /// Of the prompts with this label the share that was recognised.
    double recall(std::size_t label) const;
    /// Of the prompts taken for this label the share that had it.
    double precision(std::size_t label) const;

  private:
    std::size_t labels_;
    std::vector<std::uint64_t> counts_;
};

}  // namespace drover::router
