#include "router/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include "base/assert.hpp"
#include "base/rng.hpp"

namespace drover::router {

namespace {

/// Corners of a stored frontier and of a stored calibration.
constexpr std::size_t kFrontierPoints = 201;
constexpr std::size_t kKnots = 32;

/// Folds of the examples of a training for what is learnt from how the heads do on others.
constexpr std::size_t kInnerFolds = 5;

/// `chosen` in folds of about equal size, by chance.
Folds folds_of(std::vector<std::uint32_t> chosen, std::size_t count, std::uint64_t seed) {
    Rng rng(seed);
    for (std::size_t i = chosen.size(); i > 1; --i) {
        std::swap(chosen[i - 1], chosen[rng.below(i)]);
    }
    Folds folds(count);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        folds[i % count].push_back(chosen[i]);
    }
    return folds;
}

constexpr float kByteMax = 255;
constexpr float kWeightMax = 127;

/// How much each bucket counts: inverse document frequency in whole steps, as it is stored. 0 for
/// what the chosen examples do not have.
struct Rarity {
    std::vector<unsigned char> bytes;
    float step = 1;
};

Rarity fit_rarity(std::span<const FeatureVector> features,
                  std::span<const std::uint32_t> chosen,
                  const TrainOptions& options) {
    std::vector<std::uint32_t> seen(std::size_t{1} << options.features.bits);
    for (const std::uint32_t index : chosen) {
        for (const Feature& feature : features[index].hashed) {
            ++seen[feature.bucket];
        }
    }
    const double all = static_cast<double>(chosen.size()) + 1;
    const auto rarity_of = [&](std::uint32_t count) {
        return std::pow(std::log(all / (count + 1.0)) + 1, options.rarity);
    };
    Rarity rarity{.bytes = std::vector<unsigned char>(seen.size()),
                  .step = static_cast<float>(rarity_of(1)) / kByteMax};
    for (std::size_t bucket = 0; bucket < seen.size(); ++bucket) {
        if (seen[bucket] > 0) {
            const double steps = std::round(rarity_of(seen[bucket]) / rarity.step);
            rarity.bytes[bucket] = static_cast<unsigned char>(std::clamp(steps, 1.0, 255.0));
        }
    }
    return rarity;
}

void fit_surface(std::span<const FeatureVector> features,
                 std::span<const std::uint32_t> chosen,
                 PredictorFacts& facts) {
    const auto count = static_cast<double>(chosen.size());
    for (std::size_t i = 0; i < kSurfaceSize; ++i) {
        double sum = 0;
        double squares = 0;
        for (const std::uint32_t index : chosen) {
            const double value = features[index].surface[i];
            sum += value;
            squares += value * value;
        }
        const double mean = sum / count;
        facts.surface_mean[i] = static_cast<float>(mean);
        facts.surface_spread[i] =
            static_cast<float>(std::sqrt(std::max(squares / count - mean * mean, 0.0)) + 1e-3);
    }
}

/// The rows that the heads are trained on: hashed columns of length 1, then the surface.
SparseRows make_rows(std::span<const FeatureVector> features,
                     std::span<const std::uint32_t> chosen,
                     const Rarity& rarity,
                     const PredictorFacts& facts,
                     double surface) {
    SparseRows rows;
    for (const std::uint32_t index : chosen) {
        const FeatureVector& one = features[index];
        rows.begin_row();
        float norm = 0;
        const auto value_of = [&](const Feature& feature) {
            return occurrence_weight(feature.value) * rarity.step *
                   static_cast<float>(rarity.bytes[feature.bucket]);
        };
        for (const Feature& feature : one.hashed) {
            norm += value_of(feature) * value_of(feature);
        }
        norm = norm > 0 ? 1.0F / std::sqrt(norm) : 0.0F;
        for (const Feature& feature : one.hashed) {
            rows.add(feature.bucket, value_of(feature) * norm);
        }
        for (std::size_t i = 0; surface > 0 && i < kSurfaceSize; ++i) {
            const float measure =
                std::clamp((one.surface[i] - facts.surface_mean[i]) / facts.surface_spread[i],
                           -kSurfaceLimit,
                           kSurfaceLimit);
            rows.add(static_cast<std::uint32_t>(rarity.bytes.size() + i),
                     measure * static_cast<float>(surface));
        }
    }
    return rows;
}

bool truth_of(const Dataset& data, const Example& example, std::size_t head) {
    if (data.purpose == Purpose::task) {
        return example.label == head;
    }
    return head == 0 ? example.weak : example.strong;
}

/// Of each chosen example whether it is a yes.
std::vector<char> truths_of(const Dataset& data,
                            std::span<const std::uint32_t> chosen,
                            std::size_t head) {
    std::vector<char> truths;
    for (const std::uint32_t index : chosen) {
        truths.push_back(truth_of(data, data.examples[index], head) ? 1 : 0);
    }
    return truths;
}

/// For tasks each label counts as much as every other one, since how often it occurs in the data
/// says nothing of how often it will be asked; and within a label a source with many examples
/// counts by the root of their number, since they resemble each other.
std::vector<float> importances(const Dataset& data, std::span<const std::uint32_t> chosen) {
    std::vector<float> importance(chosen.size(), 1.0F);
    if (data.purpose != Purpose::task) {
        return importance;
    }
    std::vector<std::uint32_t> sizes(data.groups.size());
    for (const std::uint32_t index : chosen) {
        ++sizes[data.examples[index].group];
    }
    std::vector<double> totals(data.labels.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        const Example& example = data.examples[chosen[i]];
        importance[i] = std::pow(static_cast<float>(sizes[example.group]), -0.25F);
        totals[example.label] += importance[i];
    }
    const double share = static_cast<double>(chosen.size()) / static_cast<double>(totals.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        const double total = totals[data.examples[chosen[i]].label];
        importance[i] = static_cast<float>(importance[i] * share / total);
    }
    return importance;
}

/// Moves a head into the facts and the table, its hashed weights as bytes.
void store_head(const Head& head,
                std::size_t number,
                double surface,
                PredictorFacts& facts,
                std::string& table) {
    const std::size_t buckets = std::size_t{1} << facts.features.bits;
    const std::size_t row_size = 1 + facts.heads.size();
    float largest = 1e-6F;
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        largest = std::max(largest, std::abs(head.weights[bucket]));
    }
    SurfaceWeights& stored = facts.heads[number];
    stored.scale = largest / kWeightMax;
    stored.bias = head.bias;
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        const float steps = std::round(head.weights[bucket] / stored.scale);
        table[bucket * row_size + 1 + number] = static_cast<char>(static_cast<signed char>(steps));
    }
    for (std::size_t i = 0; i < kSurfaceSize; ++i) {
        stored.weights[i] = head.weights[buckets + i] * static_cast<float>(surface);
    }
}

}  // namespace

TrainOptions default_options(Purpose purpose) {
    TrainOptions options;
    if (purpose == Purpose::task) {
        options.features = {.bits = 16, .words = 1, .pieces = 0};
        options.head.strength = 3;
        options.surface = 0.3;
    } else {
        options.features = {.bits = 18, .words = 3, .pieces = 0};
        options.boost.trees = 100;
        options.surface = 0.02;
        options.rarity = 0.5;
    }
    return options;
}

std::vector<FeatureVector> read_features(const Dataset& data, const FeatureOptions& options) {
    Featurizer featurizer(options);
    std::vector<FeatureVector> features(data.examples.size());
    for (std::size_t i = 0; i < features.size(); ++i) {
        featurizer.read(data.examples[i].prompt, features[i]);
    }
    return features;
}

namespace {

/// Everything of a predictor but its part for embeddings.
struct Words {
    PredictorFacts facts;
    std::string table;
};

/// Weights of words and of the surface, and no trees.
Words train_weights(const Dataset& data,
                    std::span<const FeatureVector> features,
                    std::span<const std::uint32_t> chosen,
                    const TrainOptions& options) {
    const Rarity rarity = fit_rarity(features, chosen, options);
    PredictorFacts facts;
    facts.purpose = data.purpose;
    facts.features = options.features;
    facts.data_digest = data.digest;
    facts.examples = static_cast<std::uint32_t>(chosen.size());
    facts.rarity_step = rarity.step;
    facts.labels = data.labels;
    facts.heads.resize(data.labels.size());
    fit_surface(features, chosen, facts);
    const SparseRows rows = make_rows(features, chosen, rarity, facts, options.surface);
    const std::size_t buckets = rarity.bytes.size();
    std::string table(buckets * (1 + facts.heads.size()), '\0');
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        table[bucket * (1 + facts.heads.size())] = static_cast<char>(rarity.bytes[bucket]);
    }
    const std::vector<float> importance = importances(data, chosen);
    for (std::size_t number = 0; number < facts.heads.size(); ++number) {
        const std::vector<char> truths = truths_of(data, chosen, number);
        const Head head =
            train_head(rows, truths, importance, buckets + kSurfaceSize, options.head);
        store_head(head, number, options.surface, facts, table);
    }
    return {std::move(facts), std::move(table)};
}

/// The part for embeddings.
std::string train_part(const Dataset& data,
                       const Embeddings& embeddings,
                       std::span<const std::uint32_t> chosen,
                       const TrainOptions& options,
                       const EmbeddingShares& shares) {
    const std::vector<float> importance = importances(data, chosen);
    std::vector<std::vector<char>> truths;
    for (std::size_t head = 0; head < data.labels.size(); ++head) {
        truths.push_back(truths_of(data, chosen, head));
    }
    const EmbeddingLessons lessons{
        .embeddings = embeddings, .chosen = chosen, .truths = truths, .importance = importance};
    return train_embedding(lessons, shares, options.head.seed);
}

/// Those of `chosen` that are not in `fold`.
std::vector<std::uint32_t> without(std::span<const std::uint32_t> chosen,
                                   std::span<const std::uint32_t> fold,
                                   std::size_t examples) {
    std::vector<char> held_out(examples);
    for (const std::uint32_t index : fold) {
        held_out[index] = 1;
    }
    std::vector<std::uint32_t> rest;
    std::copy_if(chosen.begin(), chosen.end(), std::back_inserter(rest), [&](std::uint32_t index) {
        return held_out[index] == 0;
    });
    return rest;
}

/// Whole groups put together to `count` folds of about equal size.
Folds even_folds(std::vector<std::vector<std::uint32_t>> groups, std::size_t count) {
    std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
        return a.size() > b.size();
    });
    Folds folds(count);
    for (const std::vector<std::uint32_t>& group : groups) {
        auto& least =
            *std::min_element(folds.begin(), folds.end(), [](const auto& a, const auto& b) {
                return a.size() < b.size();
            });
        least.insert(least.end(), group.begin(), group.end());
    }
    return folds;
}

/// `chosen` in parts by whole groups, or in turn where there are too few groups.
Folds folds_within(const Dataset& data, std::span<const std::uint32_t> chosen) {
    std::vector<std::vector<std::uint32_t>> groups(data.groups.size());
    for (const std::uint32_t index : chosen) {
        groups[data.examples[index].group].push_back(index);
    }
    std::erase_if(groups, [](const auto& group) { return group.empty(); });
    if (groups.size() >= kInnerFolds) {
        return even_folds(std::move(groups), kInnerFolds);
    }
    Folds folds(kInnerFolds);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        folds[i % kInnerFolds].push_back(chosen[i]);
    }
    return folds;
}

/// What the trees would be asked about each chosen example, by heads that have not seen its fold.
std::vector<Measures> unseen_measures(const Dataset& data,
                                      std::span<const FeatureVector> features,
                                      std::span<const std::uint32_t> chosen,
                                      const TrainOptions& options) {
    std::vector<Measures> by_example(data.examples.size());
    for (const std::vector<std::uint32_t>& fold :
         folds_of({chosen.begin(), chosen.end()}, kInnerFolds, options.head.seed)) {
        const std::vector<std::uint32_t> rest = without(chosen, fold, data.examples.size());
        if (rest.empty()) {
            continue;
        }
        const Words words = train_weights(data, features, rest, options);
        const std::string image = predictor_image(words.facts, words.table);
        const auto predictor = Predictor::open(image);
        DROVER_ASSERT(predictor.ok());
        for (const std::uint32_t index : fold) {
            by_example[index] = predictor->measure(features[index]);
        }
    }
    std::vector<Measures> measures;
    for (const std::uint32_t index : chosen) {
        measures.push_back(by_example[index]);
    }
    return measures;
}

/// The trees of all heads, one after the other.
std::vector<Tree> train_trees(const Dataset& data,
                              std::span<const FeatureVector> features,
                              std::span<const std::uint32_t> chosen,
                              const TrainOptions& options) {
    if (options.boost.trees == 0) {
        return {};
    }
    const std::size_t width = measures_of(data.labels.size());
    std::vector<float> rows;
    const std::vector<Measures> measures = unseen_measures(data, features, chosen, options);
    for (const Measures& one : measures) {
        rows.insert(rows.end(), one.begin(), one.begin() + static_cast<std::ptrdiff_t>(width));
    }
    const std::vector<float> importance = importances(data, chosen);
    std::vector<Tree> trees;
    for (std::size_t head = 0; head < data.labels.size(); ++head) {
        const std::vector<char> truths = truths_of(data, chosen, head);
        const std::vector<Tree> own =
            boost({.rows = rows, .width = width, .truths = truths, .importance = importance},
                  options.boost);
        trees.insert(trees.end(), own.begin(), own.end());
    }
    return trees;
}

/// The file of what is learnt from the words, with `part` behind it.
std::string train_words(const Dataset& data,
                        std::span<const FeatureVector> features,
                        std::span<const std::uint32_t> chosen,
                        const TrainOptions& options,
                        std::string_view part = {}) {
    Words words = train_weights(data, features, chosen, options);
    words.facts.trees = train_trees(data, features, chosen, options);
    return predictor_image(words.facts, words.table, part);
}

/// How much words and embeddings count, by how well each does on groups of `chosen` that it has not
/// seen: what is asked later is new, too.
EmbeddingShares choose_shares(const Dataset& data,
                              std::span<const FeatureVector> features,
                              const Embeddings& embeddings,
                              std::span<const std::uint32_t> chosen,
                              const TrainOptions& options) {
    std::vector<Opinions> opinions;
    const std::vector<float> importance = importances(data, chosen);
    std::vector<std::size_t> place(data.examples.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        place[chosen[i]] = i;
    }
    for (const std::vector<std::uint32_t>& fold : folds_within(data, chosen)) {
        const std::vector<std::uint32_t> rest = without(chosen, fold, data.examples.size());
        if (rest.empty()) {
            continue;
        }
        const std::string image = train_words(data, features, rest, options);
        const std::string part = train_part(data, embeddings, rest, options, {});
        const auto words = Predictor::open(image);
        const auto heads = EmbeddingHeads::open(part, data.purpose, data.labels.size());
        DROVER_ASSERT(words.ok() && heads.ok());
        for (const std::uint32_t index : fold) {
            Opinions one{.words = words->predict(features[index]).probabilities,
                         .linear = heads->linear(embeddings[index]),
                         .nearest = heads->nearest(embeddings[index]),
                         .importance = importance[place[index]]};
            for (std::size_t head = 0; head < data.labels.size(); ++head) {
                one.truths[head] = truth_of(data, data.examples[index], head) ? 1.0F : 0.0F;
            }
            opinions.push_back(one);
        }
    }
    return fit_shares(opinions, data.purpose, data.labels.size());
}

}  // namespace

std::string train(const Dataset& data,
                  std::span<const FeatureVector> features,
                  std::span<const std::uint32_t> chosen,
                  const TrainOptions& options,
                  const Embeddings* embeddings) {
    DROVER_ASSERT(!chosen.empty() && features.size() == data.examples.size());
    if (embeddings == nullptr) {
        return train_words(data, features, chosen, options);
    }
    const EmbeddingShares shares = choose_shares(data, features, *embeddings, chosen, options);
    const std::string part = train_part(data, *embeddings, chosen, options, shares);
    return train_words(data, features, chosen, options, part);
}

Folds random_folds(const Dataset& data, std::size_t count, std::uint64_t seed) {
    DROVER_ASSERT(count >= 2);
    std::vector<std::uint32_t> order(data.judged);
    std::iota(order.begin(), order.end(), 0U);
    return folds_of(std::move(order), count, seed);
}

Folds group_folds(const Dataset& data, std::size_t count) {
    Folds groups(data.groups.size());
    for (std::uint32_t i = 0; i < data.judged; ++i) {
        groups[data.examples[i].group].push_back(i);
    }
    std::erase_if(groups, [](const auto& group) { return group.empty(); });
    if (count == 0) {
        return groups;
    }
    return even_folds(std::move(groups), count);
}

Prediction predict(const Predictor& predictor,
                   const FeatureVector& features,
                   const Embeddings* embeddings,
                   std::size_t example) {
    const Prediction words = predictor.predict(features);
    return embeddings == nullptr
               ? words
               : predictor.sum(words, predictor.embedding()->opinion((*embeddings)[example]));
}

std::vector<Prediction> cross_validate(const Dataset& data,
                                       std::span<const FeatureVector> features,
                                       const Folds& folds,
                                       const TrainOptions& options,
                                       const Embeddings* embeddings) {
    std::vector<std::uint32_t> all(data.examples.size());
    std::iota(all.begin(), all.end(), 0U);
    std::vector<Prediction> predictions(data.judged);
    for (const std::vector<std::uint32_t>& fold : folds) {
        const std::vector<std::uint32_t> rest = without(all, fold, all.size());
        if (fold.empty() || rest.empty()) {
            continue;
        }
        const std::string image = train(data, features, rest, options, embeddings);
        const auto predictor = Predictor::open(image);
        DROVER_ASSERT(predictor.ok());
        for (const std::uint32_t index : fold) {
            predictions[index] = predict(*predictor, features[index], embeddings, index);
        }
    }
    return predictions;
}

Observation observation(Purpose purpose, const Example& example, const Prediction& prediction) {
    const bool positive = purpose == Purpose::task ? example.label == prediction.label
                                                   : example.strong && !example.weak;
    return {prediction.score, positive};
}

std::vector<Outcome> outcomes(const Dataset& data, std::span<const Prediction> predictions) {
    DROVER_ASSERT(data.purpose == Purpose::complexity);
    std::vector<Outcome> result;
    DROVER_ASSERT(predictions.size() <= data.examples.size());
    for (std::size_t i = 0; i < predictions.size(); ++i) {
        result.push_back({predictions[i].score, data.examples[i].weak, data.examples[i].strong});
    }
    return result;
}

std::string calibrate(std::string_view predictor,
                      const Dataset& data,
                      std::span<const Prediction> predictions,
                      PredictedBy by) {
    DROVER_ASSERT(predictions.size() == data.judged);
    const auto opened = Predictor::open(predictor);
    DROVER_ASSERT(opened.ok());
    std::vector<Observation> observations;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
        observations.push_back(observation(data.purpose, data.examples[i], predictions[i]));
    }
    std::vector<Knot> knots = fit_isotonic(std::move(observations), kKnots);
    std::vector<FrontierPoint> points;
    if (data.purpose == Purpose::complexity) {
        points = thinned(frontier(outcomes(data, predictions)), kFrontierPoints);
    }
    PredictorFacts facts = opened->facts();
    if (by == PredictedBy::words) {
        facts.knots = std::move(knots);
        facts.frontier = std::move(points);
        return predictor_image(facts, opened->table(), opened->embedding_part());
    }
    DROVER_ASSERT(opened->embedding().has_value());
    EmbeddingFacts sum = opened->embedding()->facts();
    sum.knots = std::move(knots);
    sum.frontier = std::move(points);
    return predictor_image(
        facts,
        opened->table(),
        embedding_part(sum, opened->embedding()->table(), opened->embedding()->truths()));
}

}  // namespace drover::router
