// Training of linear heads on sparse rows. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "router/features.hpp"

namespace drover::router {

/// Rows of numbers, most of which are zero, in one piece of memory.
class SparseRows {
  public:
    /// Begins the next row; add() fills it.
    void begin_row() { ends_.push_back(entries_.size()); }
    void add(std::uint32_t column, float value) {
        entries_.push_back({column, value});
        ends_.back() = entries_.size();
    }

    std::size_t size() const { return ends_.size(); }
    std::span<const Feature> operator[](std::size_t row) const {
        const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
        return {entries_.data() + begin, ends_[row] - begin};
    }

  private:
    std::vector<Feature> entries_;
    std::vector<std::size_t> ends_;
};

struct HeadOptions {
    double strength = 1.0;  ///< weight of the examples against that of small weights (C)
    std::uint32_t passes = 10;
    std::uint64_t seed = 1;
};

/// Weights of one yes-or-no question.
struct Head {
    std::vector<float> weights;
    float bias = 0;
};

/// Logistic regression with small weights preferred, by dual coordinate ascent (Yu, Huang & Lin
/// 2011): no learning rate to tune, and the same seed gives the same weights. `truths` holds
/// whether each row is a yes, `importance` how much each counts. `columns` is above every column of
/// `rows`. Time is passes x entries. REQUIRES: as many truths and importances as rows.
Head train_head(const SparseRows& rows,
                std::span<const char> truths,
                std::span<const float> importance,
                std::size_t columns,
                const HeadOptions& options);

}  // namespace drover::router
