// A trained predictor as it lies in its file: read in place, so that opening one costs a check and
// no copy. Pure; any thread, as long as the bytes stay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "router/dataset.hpp"
#include "router/embedding_heads.hpp"
#include "router/features.hpp"
#include "router/isotonic.hpp"
#include "router/metrics.hpp"
#include "router/trees.hpp"

namespace drover::router {

/// Weights of the measures of the surface for one head.
struct SurfaceWeights {
    float scale = 1;  ///< of the head's hashed weights, which are bytes
    float bias = 0;
    std::array<float, kSurfaceSize> weights{};
};

/// Everything of a predictor but its table of hashed weights.
struct PredictorFacts {
    Purpose purpose = Purpose::task;
    FeatureOptions features{};
    std::uint64_t data_digest = 0;  ///< of the data that it was trained on
    std::uint32_t examples = 0;     ///< that it was trained on
    float rarity_step = 0;          ///< what one unit of a bucket's rarity byte means
    std::array<float, kSurfaceSize> surface_mean{};
    std::array<float, kSurfaceSize> surface_spread{};
    std::vector<SurfaceWeights> heads;    ///< one for each label
    std::vector<Tree> trees;              ///< of one head after the other, as many each; or none
    std::vector<std::string> labels;      ///< for complexity: weak, strong
    std::vector<Knot> knots;              ///< see Predictor::confidence
    std::vector<FrontierPoint> frontier;  ///< complexity only, measured on unseen prompts
};

/// What a predictor says of one prompt.
struct Prediction {
    Probabilities probabilities{};  ///< one for each label
    std::uint32_t label = 0;        ///< tasks: the most probable one
    float score = 0;                ///< tasks: its probability; complexity: P(strong) - P(weak)
    float confidence = 0;  ///< calibrated: tasks: that the label is right; complexity: that the
                           ///< strong model is right where the weak one is not
};

/// What the trees ask about: the margin of each head (its log-odds by the weights alone), the
/// surface, and the shape of choices. Behind measures_of() of them nothing is set.
using Measures = std::array<float, kHeadsMax + kSurfaceSize + kChoiceMeasures>;

/// How many there are for so many heads.
constexpr std::size_t measures_of(std::size_t heads) {
    return heads + kSurfaceSize + kChoiceMeasures;
}

/// The weights that all measures of the surface are limited to, in standard deviations.
inline constexpr float kSurfaceLimit = 3;

/// A view of a predictor's file. The format is in docs/routing.md.
class Predictor {
  public:
    /// Checks `image` completely: whatever the bytes are, the predictor can be used afterwards.
    /// `invalid_argument` says what is wrong. `image` outlives the predictor.
    static Result<Predictor> open(std::string_view image);

    /// `features` come from a Featurizer with facts().features. A few microseconds, no allocation.
    Prediction predict(const FeatureVector& features) const;

    /// What its trees ask about.
    Measures measure(const FeatureVector& features) const;

    /// What `words`, by predict(), and the embedding's opinion say together. REQUIRES: embedding().
    Prediction sum(const Prediction& words, const Probabilities& opinion) const;

    /// What was trained on embeddings too; unset: nothing was.
    const std::optional<EmbeddingHeads>& embedding() const { return embedding_; }
    /// Its bytes; empty without it.
    std::string_view embedding_part() const { return embedding_part_; }

    const PredictorFacts& facts() const { return facts_; }
    /// Of each bucket its rarity byte, then a signed weight for each head.
    std::string_view table() const { return table_; }

  private:
    void conclude(std::span<const Knot> knots, Prediction& prediction) const;

    PredictorFacts facts_;
    std::string_view table_;
    std::string_view embedding_part_;
    std::optional<EmbeddingHeads> embedding_;
};

/// The file of a predictor. `table` as described at Predictor; `embedding` by embedding_part(), or
/// empty.
std::string predictor_image(const PredictorFacts& facts,
                            std::string_view table,
                            std::string_view embedding = {});

/// The factor for `count` occurrences in one prompt.
float occurrence_weight(float count);

}  // namespace drover::router
