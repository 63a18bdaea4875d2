// From labelled prompts to a predictor, and honest figures of how good it is. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "router/boosting.hpp"
#include "router/dataset.hpp"
#include "router/embedding_trainer.hpp"
#include "router/features.hpp"
#include "router/linear.hpp"
#include "router/predictor.hpp"

namespace drover::router {

struct TrainOptions {
    FeatureOptions features{};
    HeadOptions head{};
    BoostOptions boost{};
    double surface = 0.1;  ///< weight of the surface measures against the words
    double rarity = 1.0;   ///< how much rare words count more: the power of their IDF
};

/// What did best for this purpose in cross-validation on the data in docs/routing.md.
TrainOptions default_options(Purpose purpose);

/// The features of all prompts, computed once for many trainings.
std::vector<FeatureVector> read_features(const Dataset& data, const FeatureOptions& options);

/// Trains on the examples `chosen` and returns the image of a predictor without calibration. All
/// that is fitted (rarity, means, weights, shares) comes from those alone. With `embeddings` it has
/// a part for them. REQUIRES: `features` are those of `data` with `options.features`, and
/// `embeddings` its prompts'; `chosen` is not empty.
std::string train(const Dataset& data,
                  std::span<const FeatureVector> features,
                  std::span<const std::uint32_t> chosen,
                  const TrainOptions& options,
                  const Embeddings* embeddings = nullptr);

/// What a predictor says of one example: by its words, or with `embeddings` by the sum. REQUIRES:
/// where there are embeddings, the predictor was trained with such.
Prediction predict(const Predictor& predictor,
                   const FeatureVector& features,
                   const Embeddings* embeddings,
                   std::size_t example);

/// The judged examples of each fold, predicted by what was trained on all others.
using Folds = std::vector<std::vector<std::uint32_t>>;

/// `count` folds of about equal size, by chance.
Folds random_folds(const Dataset& data, std::size_t count, std::uint64_t seed);

/// Whole groups left out: `count` folds of about equal size, or one for each group when 0.
Folds group_folds(const Dataset& data, std::size_t count);

/// The prediction of each judged example by a predictor that has not seen its fold.
std::vector<Prediction> cross_validate(const Dataset& data,
                                       std::span<const FeatureVector> features,
                                       const Folds& folds,
                                       const TrainOptions& options,
                                       const Embeddings* embeddings = nullptr);

/// Who said what a calibration is fitted to.
enum class PredictedBy {
    words,
    sum  ///< of words and embeddings
};

/// The image of `predictor` with its confidence fitted to `predictions` of what is judged, and, for
/// complexity, the frontier measured on them. They should come from cross_validate(), or from data
/// that the predictor was not trained on. REQUIRES for `sum`: it has a part for embeddings.
std::string calibrate(std::string_view predictor,
                      const Dataset& data,
                      std::span<const Prediction> predictions,
                      PredictedBy by = PredictedBy::words);

/// Whether the prediction came true: tasks: the label is right; complexity: only the strong model
/// was right.
Observation observation(Purpose purpose, const Example& example, const Prediction& prediction);

/// For complexity: scores and outcomes.
std::vector<Outcome> outcomes(const Dataset& data, std::span<const Prediction> predictions);

}  // namespace drover::router
