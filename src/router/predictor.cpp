#include "router/predictor.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "router/byte_reader.hpp"

namespace drover::router {

namespace {

constexpr std::string_view kMagic = "DROVROUT";
constexpr std::uint32_t kVersion = 1;
/// With a part for embeddings behind it.
constexpr std::uint32_t kVersionWithEmbedding = 2;
/// With trees behind the labels, and perhaps such a part.
constexpr std::uint32_t kVersionWithTrees = 3;

/// Bounds on a file, so that a hostile one cannot ask for much.
constexpr std::uint32_t kBitsMax = 22;
constexpr std::uint32_t kKnotsMax = 4096;
constexpr std::uint32_t kFrontierMax = 4096;
constexpr std::uint32_t kLabelMax = 64;

/// How much of a probability is what the trees say. With 0.3, 0.4 and 0.5: APGR on GSM8K 0.672,
/// 0.666 and 0.660, on 480 outcomes of two small models 0.707, 0.714 and 0.718.
constexpr float kTreesShare = 0.3F;

constexpr std::size_t kChecksumSize = sizeof(std::uint64_t);

/// The numbers at the file's beginning, in order.
struct Header {
    char magic[8];
    std::uint32_t version;
    std::uint32_t purpose;
    std::uint32_t bits;
    std::uint32_t words;
    std::uint32_t pieces;
    std::uint32_t heads;
    std::uint32_t knots;
    std::uint32_t frontier;
    std::uint32_t examples;
    float rarity_step;
    std::uint64_t data_digest;
};
static_assert(sizeof(Header) == 56);
static_assert(sizeof(SurfaceWeights) == (2 + kSurfaceSize) * sizeof(float));

Error broken(std::string_view what) {
    return Error{ErrorCode::invalid_argument,
                 "this is no predictor that can be used: " + std::string(what) +
                     "; make it anew with `drover route train`"};
}

bool sane(const Header& header) {
    const bool purpose = header.purpose == static_cast<std::uint32_t>(Purpose::task) ||
                         header.purpose == static_cast<std::uint32_t>(Purpose::complexity);
    const bool complexity = header.purpose == static_cast<std::uint32_t>(Purpose::complexity);
    return purpose && header.bits >= 8 && header.bits <= kBitsMax && header.words >= 1 &&
           header.words <= 3 && header.pieces <= 8 && header.heads >= 2 &&
           header.heads <= kHeadsMax && (!complexity || header.heads == 2) &&
           header.knots <= kKnotsMax && header.frontier <= kFrontierMax &&
           finite({&header.rarity_step, 1});
}

bool sane(const PredictorFacts& facts) {
    for (const SurfaceWeights& head : facts.heads) {
        if (!finite({&head.scale, 1}) || !finite({&head.bias, 1}) || !finite(head.weights)) {
            return false;
        }
    }
    const std::size_t measures = measures_of(facts.heads.size());
    const bool trees = std::all_of(facts.trees.begin(), facts.trees.end(), [&](const Tree& tree) {
        return is_sane(tree, measures);
    });
    return trees && is_calibration(facts.knots) && is_frontier(facts.frontier) &&
           finite(facts.surface_mean) && finite(facts.surface_spread) &&
           std::all_of(facts.surface_spread.begin(), facts.surface_spread.end(), [](float spread) {
               return spread > 0;
           });
}

bool read_labels(ByteReader& in, std::uint32_t heads, std::vector<std::string>& labels) {
    for (std::uint32_t i = 0; i < heads; ++i) {
        std::uint32_t size = 0;
        if (!in.take(size) || size == 0 || size > kLabelMax || in.left() < size) {
            return false;
        }
        labels.emplace_back(in.bytes(size));
    }
    return true;
}

/// As many trees for each head as the file says.
bool read_trees(ByteReader& in, std::uint32_t heads, std::vector<Tree>& trees) {
    std::uint32_t count = 0;
    return in.take(count) && count <= kTreesMax && in.take(trees, std::size_t{count} * heads);
}

float sigmoid(float x) {
    return 1.0F / (1.0F + std::exp(-x));
}

}  // namespace

float occurrence_weight(float count) {
    return count == 1.0F ? 1.0F : 1.0F + std::log(count);
}

Result<Predictor> Predictor::open(std::string_view image) {
    Header header{};
    ByteReader in(image);
    if (!in.take(header) || std::string_view(header.magic, kMagic.size()) != kMagic) {
        return broken("it does not begin like one");
    }
    if (header.version < kVersion || header.version > kVersionWithTrees) {
        return broken("its format is version " + std::to_string(header.version) + ", not 1 to 3");
    }
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, image.data() + image.size() - kChecksumSize, kChecksumSize);
    if (fnv64(image.substr(0, image.size() - kChecksumSize)) != checksum) {
        return broken("it is damaged or cut off (its checksum is wrong)");
    }
    if (!sane(header)) {
        return broken("its header makes no sense");
    }
    Predictor predictor;
    PredictorFacts& facts = predictor.facts_;
    facts.purpose = static_cast<Purpose>(header.purpose);
    facts.features = {header.bits, header.words, header.pieces};
    facts.data_digest = header.data_digest;
    facts.examples = header.examples;
    facts.rarity_step = header.rarity_step;
    const bool complete =
        in.take(facts.surface_mean) && in.take(facts.surface_spread) &&
        in.take(facts.heads, header.heads) && in.take(facts.knots, header.knots) &&
        in.take(facts.frontier, header.frontier) && read_labels(in, header.heads, facts.labels) &&
        (header.version != kVersionWithTrees || read_trees(in, header.heads, facts.trees));
    predictor.table_ = in.bytes((std::size_t{1} << header.bits) * (1 + header.heads));
    const bool embeds = header.version == kVersionWithEmbedding ||
                        (header.version == kVersionWithTrees && in.left() > kChecksumSize);
    if (!complete ||
        predictor.table_.size() != (std::size_t{1} << header.bits) * (1 + header.heads) ||
        in.left() < kChecksumSize || (!embeds && in.left() > kChecksumSize)) {
        return broken("its size is not what its header says");
    }
    if (!sane(facts)) {
        return broken("its numbers make no sense");
    }
    if (embeds) {
        predictor.embedding_part_ = in.bytes(in.left() - kChecksumSize);
        auto heads = EmbeddingHeads::open(predictor.embedding_part_, facts.purpose, header.heads);
        if (!heads.ok()) {
            return heads.error();
        }
        predictor.embedding_ = *std::move(heads);
    }
    return predictor;
}

std::string predictor_image(const PredictorFacts& facts,
                            std::string_view table,
                            std::string_view embedding) {
    DROVER_ASSERT(facts.labels.size() == facts.heads.size() &&
                  facts.trees.size() % facts.heads.size() == 0);
    const std::uint32_t without_trees = embedding.empty() ? kVersion : kVersionWithEmbedding;
    Header header{.magic = {},
                  .version = facts.trees.empty() ? without_trees : kVersionWithTrees,
                  .purpose = static_cast<std::uint32_t>(facts.purpose),
                  .bits = facts.features.bits,
                  .words = facts.features.words,
                  .pieces = facts.features.pieces,
                  .heads = static_cast<std::uint32_t>(facts.heads.size()),
                  .knots = static_cast<std::uint32_t>(facts.knots.size()),
                  .frontier = static_cast<std::uint32_t>(facts.frontier.size()),
                  .examples = facts.examples,
                  .rarity_step = facts.rarity_step,
                  .data_digest = facts.data_digest};
    std::memcpy(header.magic, kMagic.data(), kMagic.size());
    std::string image;
    append(image, header);
    append(image, facts.surface_mean);
    append(image, facts.surface_spread);
    append_all(image, facts.heads);
    append_all(image, facts.knots);
    append_all(image, facts.frontier);
    for (const std::string& label : facts.labels) {
        append(image, static_cast<std::uint32_t>(label.size()));
        image += label;
    }
    if (!facts.trees.empty()) {
        append(image, static_cast<std::uint32_t>(facts.trees.size() / facts.heads.size()));
        append_all(image, facts.trees);
    }
    image += table;
    image += embedding;
    append(image, fnv64(image));
    return image;
}

Measures Predictor::measure(const FeatureVector& features) const {
    const std::size_t heads = facts_.heads.size();
    Measures measures;
    std::array<float, kHeadsMax> sums{};
    float norm = 0;
    const auto row_of = [&](const Feature& feature) {
        return table_.data() + feature.bucket * (1 + heads);
    };
    for (std::size_t i = 0; i < features.hashed.size(); ++i) {
        if (i + kFetchAhead < features.hashed.size()) {
            __builtin_prefetch(row_of(features.hashed[i + kFetchAhead]));
        }
        const Feature& feature = features.hashed[i];
        const char* row = row_of(feature);
        const float value = occurrence_weight(feature.value) *
                            static_cast<float>(static_cast<unsigned char>(row[0])) *
                            facts_.rarity_step;
        norm += value * value;
        for (std::size_t head = 0; head < heads; ++head) {
            sums[head] += value * static_cast<float>(static_cast<signed char>(row[1 + head]));
        }
    }
    norm = norm > 0 ? 1.0F / std::sqrt(norm) : 0.0F;
    std::array<float, kSurfaceSize> surface{};
    for (std::size_t i = 0; i < kSurfaceSize; ++i) {
        surface[i] =
            std::clamp((features.surface[i] - facts_.surface_mean[i]) / facts_.surface_spread[i],
                       -kSurfaceLimit,
                       kSurfaceLimit);
    }
    for (std::size_t head = 0; head < heads; ++head) {
        const SurfaceWeights& weights = facts_.heads[head];
        measures[head] = weights.bias + sums[head] * norm * weights.scale;
        for (std::size_t i = 0; i < kSurfaceSize; ++i) {
            measures[head] += surface[i] * weights.weights[i];
        }
    }
    const auto rest =
        std::copy(features.surface.begin(), features.surface.end(), measures.begin() + heads);
    std::copy(features.choices.begin(), features.choices.end(), rest);
    return measures;
}

Prediction Predictor::predict(const FeatureVector& features) const {
    const std::size_t heads = facts_.heads.size();
    const std::size_t trees = facts_.trees.size() / heads;
    const Measures measures = measure(features);
    Prediction prediction;
    float total = 0;
    for (std::size_t head = 0; head < heads; ++head) {
        const auto own = std::span(facts_.trees).subspan(head * trees, trees);
        float& probability = prediction.probabilities[head];
        probability = sigmoid(measures[head]);
        if (!own.empty()) {
            probability += kTreesShare * (sigmoid(sum_of(own, measures)) - probability);
        }
        total += prediction.probabilities[head];
    }
    if (facts_.purpose == Purpose::task) {
        for (float& one : prediction.probabilities) {
            one /= std::max(total, 1e-9F);
        }
    }
    conclude(facts_.knots, prediction);
    return prediction;
}

Prediction Predictor::sum(const Prediction& words, const Probabilities& opinion) const {
    DROVER_ASSERT(embedding_.has_value());
    Prediction prediction;
    prediction.probabilities = embedding_->sum(words.probabilities, opinion);
    conclude(embedding_->facts().knots, prediction);
    return prediction;
}

void Predictor::conclude(std::span<const Knot> knots, Prediction& prediction) const {
    const Probabilities& of = prediction.probabilities;
    if (facts_.purpose == Purpose::complexity) {
        prediction.score = of[1] - of[0];
    } else {
        prediction.label = static_cast<std::uint32_t>(
            std::max_element(of.begin(), of.begin() + facts_.heads.size()) - of.begin());
        prediction.score = of[prediction.label];
    }
    prediction.confidence = knots.empty() ? std::clamp(prediction.score, 0.0F, 1.0F)
                                          : calibrated(knots, prediction.score);
}

}  // namespace drover::router
