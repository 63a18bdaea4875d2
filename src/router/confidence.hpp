// How certain a model was of its own answer, from the log-probabilities of its tokens. Pure; one
// thread at a time.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace drover::router {

/// What an engine said of one token that it chose: natural logarithms of probabilities.
struct TokenOdds {
    float chosen;
    float runner_up = -std::numeric_limits<float>::infinity();  ///< the best other one
};

/// Gathers the tokens of one answer.
class Confidence {
  public:
    /// Odds that are no numbers, or above certainty, count as what they must be: in [-inf, 0].
    void add(TokenOdds odds);

    /// Also those beyond the bound that score() looks at.
    std::size_t tokens() const { return tokens_; }

    /// In [0, 1]; 0 without tokens. The mean of two low quantiles: of the chosen tokens'
    /// probabilities, and of their margins before the best other token. A plain mean hides the few
    /// tokens on which an answer hangs behind the many that follow from the ones before (Gupta et
    /// al. 2024, "Language Model Cascades: Token-level uncertainty and beyond"). Not a probability
    /// of being right: a Calibration makes one of it.
    float score() const;

  private:
    std::size_t tokens_ = 0;
    std::vector<float> probabilities_;
    std::vector<float> margins_;
};

}  // namespace drover::router
