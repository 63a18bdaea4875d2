#include "router/predictor.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"

namespace drover::router {

// Numbers lie in the file as this machine has them; every machine that Drover runs on is
// little-endian.
static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::string_view kMagic = "DROVROUT";
constexpr std::uint32_t kVersion = 1;

/// Bounds on a file, so that a hostile one cannot ask for much.
constexpr std::uint32_t kBitsMax = 22;
constexpr std::uint32_t kKnotsMax = 4096;
constexpr std::uint32_t kFrontierMax = 4096;
constexpr std::uint32_t kLabelMax = 64;

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

/// Takes values off the front of bytes that may end too early.
class ByteReader {
  public:
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

    template <typename Value>
    bool take(Value& value) {
        static_assert(std::is_trivially_copyable_v<Value>);
        const std::string_view found = bytes(sizeof(Value));
        if (found.size() < sizeof(Value)) {
            return false;
        }
        std::memcpy(&value, found.data(), sizeof(Value));
        return true;
    }

    template <typename Value>
    bool take(std::vector<Value>& values, std::size_t count) {
        values.resize(count);
        return std::all_of(
            values.begin(), values.end(), [this](Value& value) { return take(value); });
    }

    /// Less than `size` bytes when there are not as many; nothing fits after that.
    std::string_view bytes(std::size_t size) {
        const std::string_view taken = bytes_.substr(0, size);
        bytes_.remove_prefix(taken.size());
        return taken;
    }

    std::size_t left() const { return bytes_.size(); }

  private:
    std::string_view bytes_;
};

template <typename Value>
void append(std::string& bytes, const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(Value));
}

Error broken(std::string_view what) {
    return Error{ErrorCode::invalid_argument,
                 "this is no predictor that can be used: " + std::string(what) +
                     "; make it anew with `drover route train`"};
}

bool finite(std::span<const float> numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [](float number) {
        return std::isfinite(number) && std::abs(number) < 1e9F;
    });
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
    for (std::size_t i = 0; i < facts.knots.size(); ++i) {
        const Knot& knot = facts.knots[i];
        if (!finite({&knot.score, 1}) || !(knot.probability >= 0 && knot.probability <= 1) ||
            (i > 0 && !(facts.knots[i - 1].score < knot.score))) {
            return false;
        }
    }
    for (std::size_t i = 0; i < facts.frontier.size(); ++i) {
        const FrontierPoint& point = facts.frontier[i];
        if (!finite({&point.threshold, 1}) || !(point.share >= 0 && point.share <= 1) ||
            !(point.quality >= 0 && point.quality <= 1) ||
            (i > 0 && !(facts.frontier[i - 1].share <= point.share))) {
            return false;
        }
    }
    return finite(facts.surface_mean) && finite(facts.surface_spread) &&
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

float sigmoid(float x) {
    return 1.0F / (1.0F + std::exp(-x));
}

}  // namespace

float occurrence_weight(float count) {
    return 1.0F + std::log(count);
}

Result<Predictor> Predictor::open(std::string_view image) {
    Header header{};
    ByteReader in(image);
    if (!in.take(header) || std::string_view(header.magic, kMagic.size()) != kMagic) {
        return broken("it does not begin like one");
    }
    if (header.version != kVersion) {
        return broken("its format is version " + std::to_string(header.version) + ", not 1");
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
        in.take(facts.frontier, header.frontier) && read_labels(in, header.heads, facts.labels);
    predictor.table_ = in.bytes((std::size_t{1} << header.bits) * (1 + header.heads));
    if (!complete ||
        predictor.table_.size() != (std::size_t{1} << header.bits) * (1 + header.heads) ||
        in.left() != kChecksumSize) {
        return broken("its size is not what its header says");
    }
    if (!sane(facts)) {
        return broken("its numbers make no sense");
    }
    return predictor;
}

std::string predictor_image(const PredictorFacts& facts, std::string_view table) {
    DROVER_ASSERT(facts.labels.size() == facts.heads.size());
    Header header{.magic = {},
                  .version = kVersion,
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
    const auto append_all = [&image](const auto& values) {
        for (const auto& value : values) {
            append(image, value);
        }
    };
    append_all(facts.heads);
    append_all(facts.knots);
    append_all(facts.frontier);
    for (const std::string& label : facts.labels) {
        append(image, static_cast<std::uint32_t>(label.size()));
        image += label;
    }
    image += table;
    append(image, fnv64(image));
    return image;
}

float Predictor::rarity(std::uint32_t bucket) const {
    const std::size_t row = bucket * (1 + facts_.heads.size());
    return static_cast<float>(static_cast<unsigned char>(table_[row])) * facts_.rarity_step;
}

float Predictor::weight(std::uint32_t bucket, std::size_t head) const {
    const std::size_t row = bucket * (1 + facts_.heads.size());
    return static_cast<float>(static_cast<signed char>(table_[row + 1 + head])) *
           facts_.heads[head].scale;
}

Prediction Predictor::predict(const FeatureVector& features) const {
    const std::size_t heads = facts_.heads.size();
    Prediction prediction;
    std::array<float, kHeadsMax> sums{};
    float norm = 0;
    for (const Feature& feature : features.hashed) {
        const char* row = table_.data() + feature.bucket * (1 + heads);
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
    float total = 0;
    for (std::size_t head = 0; head < heads; ++head) {
        const SurfaceWeights& weights = facts_.heads[head];
        float margin = weights.bias + sums[head] * norm * weights.scale;
        for (std::size_t i = 0; i < kSurfaceSize; ++i) {
            margin += surface[i] * weights.weights[i];
        }
        prediction.probabilities[head] = sigmoid(margin);
        total += prediction.probabilities[head];
    }
    if (facts_.purpose == Purpose::complexity) {
        prediction.score = prediction.probabilities[1] - prediction.probabilities[0];
    } else {
        for (std::size_t head = 0; head < heads; ++head) {
            prediction.probabilities[head] /= std::max(total, 1e-9F);
            if (prediction.probabilities[head] > prediction.probabilities[prediction.label]) {
                prediction.label = static_cast<std::uint32_t>(head);
            }
        }
        prediction.score = prediction.probabilities[prediction.label];
    }
    prediction.confidence = facts_.knots.empty() ? std::clamp(prediction.score, 0.0F, 1.0F)
                                                 : calibrated(facts_.knots, prediction.score);
    return prediction;
}

}  // namespace drover::router
