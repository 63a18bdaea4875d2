#include "router/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/assert.hpp"
#include "base/rng.hpp"

namespace drover::router {

namespace {

double ratio(std::uint64_t part, std::uint64_t all) {
    return all == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

std::vector<FrontierPoint> frontier(std::span<const Outcome> outcomes) {
    DROVER_ASSERT(!outcomes.empty());
    std::vector<Outcome> sorted(outcomes.begin(), outcomes.end());
    std::sort(sorted.begin(), sorted.end(), [](const Outcome& a, const Outcome& b) {
        return a.score > b.score;
    });
    std::int64_t right = 0;
    for (const Outcome& one : sorted) {
        right += static_cast<std::int64_t>(one.weak);
    }
    const auto all = static_cast<double>(sorted.size());
    const auto point = [&](float threshold, std::size_t moved) {
        return FrontierPoint{threshold,
                             static_cast<float>(static_cast<double>(moved) / all),
                             static_cast<float>(static_cast<double>(right) / all)};
    };
    // Above every score: nothing goes to the strong model.
    std::vector<FrontierPoint> points{
        point(std::nextafter(sorted.front().score, std::numeric_limits<float>::infinity()), 0)};
    for (std::size_t i = 0; i < sorted.size();) {
        const float score = sorted[i].score;
        for (; i < sorted.size() && sorted[i].score == score; ++i) {
            right += static_cast<std::int64_t>(sorted[i].strong) -
                     static_cast<std::int64_t>(sorted[i].weak);
        }
        points.push_back(point(score, i));
    }
    return points;
}

std::vector<FrontierPoint> thinned(std::span<const FrontierPoint> points, std::size_t count) {
    DROVER_ASSERT(count >= 2);
    if (points.size() <= count) {
        return {points.begin(), points.end()};
    }
    std::vector<FrontierPoint> chosen;
    for (const FrontierPoint& point : points) {
        const double next = static_cast<double>(chosen.size()) / static_cast<double>(count - 1);
        if (point.share >= next - 1e-9 || &point == &points.back()) {
            chosen.push_back(point);
        }
    }
    return chosen;
}

bool is_frontier(std::span<const FrontierPoint> points) {
    for (std::size_t i = 0; i < points.size(); ++i) {
        const FrontierPoint& point = points[i];
        if (!std::isfinite(point.threshold) || !(point.share >= 0 && point.share <= 1) ||
            !(point.quality >= 0 && point.quality <= 1) ||
            (i > 0 && !(points[i - 1].share <= point.share))) {
            return false;
        }
    }
    return true;
}

double quality_at(std::span<const FrontierPoint> points, double share) {
    DROVER_ASSERT(!points.empty());
    for (std::size_t i = 1; i < points.size(); ++i) {
        if (points[i].share >= share) {
            const double width = points[i].share - points[i - 1].share;
            const double part = width > 0 ? (share - points[i - 1].share) / width : 1.0;
            return points[i - 1].quality + part * (points[i].quality - points[i - 1].quality);
        }
    }
    return points.back().quality;
}

double apgr(std::span<const FrontierPoint> points) {
    const double weak = points.front().quality;
    const double gap = points.back().quality - weak;
    if (gap == 0) {
        return 0.0;
    }
    double area = 0;
    for (std::size_t i = 1; i < points.size(); ++i) {
        area += (points[i].share - points[i - 1].share) *
                ((points[i].quality + points[i - 1].quality) / 2 - weak);
    }
    return area / gap;
}

double cpt(std::span<const FrontierPoint> points, double part) {
    const double weak = points.front().quality;
    const double wanted = weak + part * (points.back().quality - weak);
    for (std::size_t i = 1; i < points.size(); ++i) {
        if (points[i].quality >= wanted) {
            const double rise = points[i].quality - points[i - 1].quality;
            const double step = rise > 0 ? (wanted - points[i - 1].quality) / rise : 0.0;
            return points[i - 1].share + step * (points[i].share - points[i - 1].share);
        }
    }
    return 1.0;
}

double auc(std::span<const Observation> observations) {
    std::vector<Observation> sorted(observations.begin(), observations.end());
    std::sort(sorted.begin(), sorted.end(), [](const Observation& a, const Observation& b) {
        return a.score < b.score;
    });
    double negatives = 0;
    double positives = 0;
    double won = 0;
    for (std::size_t i = 0; i < sorted.size();) {
        double ties[2] = {0, 0};
        const float score = sorted[i].score;
        for (; i < sorted.size() && sorted[i].score == score; ++i) {
            ties[sorted[i].positive ? 1 : 0] += 1;
        }
        won += ties[1] * (negatives + ties[0] / 2);
        negatives += ties[0];
        positives += ties[1];
    }
    return negatives * positives > 0 ? won / (negatives * positives) : 0.5;
}

double calibration_error(std::vector<Observation> observations, std::size_t bins) {
    DROVER_ASSERT(!observations.empty() && bins > 0);
    std::sort(observations.begin(),
              observations.end(),
              [](const Observation& a, const Observation& b) { return a.score < b.score; });
    double error = 0;
    for (std::size_t bin = 0; bin < bins; ++bin) {
        double difference = 0;
        for (std::size_t i = observations.size() * bin / bins;
             i < observations.size() * (bin + 1) / bins;
             ++i) {
            difference += observations[i].score - (observations[i].positive ? 1.0 : 0.0);
        }
        error += std::abs(difference);
    }
    return error / static_cast<double>(observations.size());
}

Interval bootstrap(std::size_t size,
                   std::size_t rounds,
                   std::uint64_t seed,
                   const std::function<double(std::span<const std::uint32_t> sample)>& statistic) {
    DROVER_ASSERT(size > 0 && rounds > 0);
    Rng rng(seed);
    std::vector<std::uint32_t> sample(size);
    std::vector<double> values(rounds);
    for (double& value : values) {
        for (std::uint32_t& index : sample) {
            index = static_cast<std::uint32_t>(rng.below(size));
        }
        value = statistic(sample);
    }
    std::sort(values.begin(), values.end());
    return {values[rounds * 25 / 1000], values[(rounds - 1) - rounds * 25 / 1000]};
}

double Confusion::accuracy() const {
    std::uint64_t right = 0;
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        all += counts_[i];
        right += i % labels_ == i / labels_ ? counts_[i] : 0;
    }
    return ratio(right, all);
}

double Confusion::recall(std::size_t label) const {
    std::uint64_t all = 0;
    for (std::size_t guess = 0; guess < labels_; ++guess) {
        all += count(label, guess);
    }
    return ratio(count(label, label), all);
}

double Confusion::precision(std::size_t label) const {
    std::uint64_t all = 0;
    for (std::size_t truth = 0; truth < labels_; ++truth) {
        all += count(truth, label);
    }
    return ratio(count(label, label), all);
}

}  // namespace drover::router
