// Training of trees, each of which mends what those before it got wrong. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "router/trees.hpp"

namespace drover::router {

struct BoostOptions {
    std::size_t trees = 0;
    double rate = 0.06;      ///< how much of what a tree finds counts
    double ridge = 5;        ///< against large values from few examples
    std::size_t least = 40;  ///< examples on each side of a question
};

/// What is learnt from.
struct BoostLessons {
    std::span<const float> rows;        ///< `width` measures of each example
    std::size_t width = 0;              ///< at most 255
    std::span<const char> truths;       ///< whether each is a yes
    std::span<const float> importance;  ///< how much each counts
};

/// Gradient boosting of the logistic loss with Newton steps on measures in at most 64 bins
/// (Friedman 2001; Chen & Guestrin 2016): no chance is in it. What the trees say together is the
/// log-odds of a yes. Time is trees x examples x width. REQUIRES: as many truths and importances as
/// rows.
std::vector<Tree> boost(const BoostLessons& lessons, const BoostOptions& options);

}  // namespace drover::router
