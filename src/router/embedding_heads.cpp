#include "router/embedding_heads.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.hpp"
#include "router/byte_reader.hpp"

namespace drover::router {

namespace {

/// Bounds on a file, so that a hostile one cannot ask for much.
constexpr std::uint32_t kSizeMax = 16384;
constexpr std::uint32_t kNearestMax = 65536;
constexpr std::uint32_t kModelMax = 256;
constexpr std::uint32_t kPartKnotsMax = 4096;

/// Examples that count, the nearest ones; 10 and 40 did as well.
constexpr std::size_t kNearest = 20;
/// A neighbour counts by this power of its cosine, so that the closest decide.
constexpr float kSharpness = 4;
constexpr float kByteSteps = 127;

struct PartHeader {
    std::uint32_t size;
    std::uint32_t examples;
    std::uint32_t model;
    std::uint32_t knots;
    std::uint32_t frontier;
    EmbeddingShares shares;
};
static_assert(sizeof(PartHeader) == 32);

Error broken_part(std::string_view what) {
    return Error{ErrorCode::invalid_argument,
                 "its part for embeddings cannot be used: " + std::string(what) +
                     "; make it anew with `drover route train`"};
}

bool sane(const PartHeader& header) {
    const EmbeddingShares& shares = header.shares;
    const bool parts = shares.words >= 0 && shares.linear >= 0 && shares.nearest >= 0 &&
                       std::abs(shares.words + shares.linear + shares.nearest - 1) < 1e-3F;
    return parts && header.size > 0 && header.size <= kSizeMax && header.examples <= kNearestMax &&
           header.model > 0 && header.model <= kModelMax && header.knots <= kPartKnotsMax &&
           header.frontier <= kPartKnotsMax;
}

std::int32_t product(std::span<const signed char> a, std::span<const signed char> b) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        sum += a[i] * b[i];
    }
    return sum;
}

float length_of(std::span<const float> vector) {
    float squares = 0;
    for (const float number : vector) {
        squares += number * number;
    }
    return std::sqrt(squares);
}

/// Makes them add up to 1, as those of labels do that exclude each other.
void share_out(Probabilities& probabilities) {
    float total = 0;
    for (const float one : probabilities) {
        total += one;
    }
    for (float& one : probabilities) {
        one /= std::max(total, 1e-9F);
    }
}

}  // namespace

std::string misfit(std::size_t size, const EmbeddingFacts& trained) {
    return "have " + std::to_string(size) + " numbers; the predictor was trained with " +
           std::to_string(trained.size) + " of '" + trained.model + "'";
}

float step_of(std::span<const float> vector) {
    float largest = 1e-9F;
    for (const float number : vector) {
        largest = std::max(largest, std::abs(number));
    }
    return largest / kByteSteps;
}

std::vector<signed char> in_steps(std::span<const float> vector) {
    const float step = step_of(vector);
    std::vector<signed char> steps;
    steps.reserve(vector.size());
    for (const float number : vector) {
        steps.push_back(static_cast<signed char>(std::round(number / step)));
    }
    return steps;
}

Result<EmbeddingHeads> EmbeddingHeads::open(std::string_view part,
                                            Purpose purpose,
                                            std::size_t heads) {
    ByteReader in(part);
    PartHeader header{};
    if (!in.take(header) || !sane(header)) {
        return broken_part("its header makes no sense");
    }
    EmbeddingHeads opened;
    EmbeddingFacts& facts = opened.facts_;
    opened.purpose_ = purpose;
    facts.size = header.size;
    facts.examples = header.examples;
    facts.shares = header.shares;
    facts.model = std::string(in.bytes(header.model));
    const std::size_t table = std::size_t{header.size} * (heads + header.examples);
    const bool complete = in.take(facts.scales, heads) && in.take(facts.biases, heads) &&
                          in.take(facts.knots, header.knots) &&
                          in.take(facts.frontier, header.frontier);
    opened.table_ = in.bytes(table);
    opened.truths_ = in.bytes(heads * header.examples);
    if (!complete || opened.table_.size() != table ||
        opened.truths_.size() != heads * header.examples || in.left() != 0) {
        return broken_part("its size is not what its header says");
    }
    if (!finite(facts.scales) || !finite(facts.biases) || !is_calibration(facts.knots) ||
        !is_frontier(facts.frontier)) {
        return broken_part("its numbers make no sense");
    }
    for (std::size_t i = 0; i < header.examples; ++i) {
        const auto example = opened.row(heads + i);
        opened.lengths_.push_back(
            std::sqrt(static_cast<float>(std::max(product(example, example), 1))));
    }
    return opened;
}

std::span<const signed char> EmbeddingHeads::row(std::size_t index) const {
    const char* begin = table_.data() + index * facts_.size;
    return {reinterpret_cast<const signed char*>(begin), facts_.size};
}

Probabilities EmbeddingHeads::linear(std::span<const float> vector) const {
    DROVER_ASSERT(vector.size() == facts_.size);
    const float length = std::max(length_of(vector), 1e-9F);
    Probabilities probabilities{};
    for (std::size_t head = 0; head < facts_.scales.size(); ++head) {
        const auto weights = row(head);
        float sum = 0;
        for (std::size_t i = 0; i < vector.size(); ++i) {
            sum += vector[i] * static_cast<float>(weights[i]);
        }
        const float margin = facts_.biases[head] + sum / length * facts_.scales[head];
        probabilities[head] = 1.0F / (1.0F + std::exp(-margin));
    }
    if (purpose_ == Purpose::task) {
        share_out(probabilities);
    }
    return probabilities;
}

Probabilities EmbeddingHeads::nearest(std::span<const float> vector) const {
    DROVER_ASSERT(vector.size() == facts_.size);
    const std::vector<signed char> steps = in_steps(vector);
    const float length = std::sqrt(static_cast<float>(std::max(product(steps, steps), 1)));
    const std::size_t heads = facts_.scales.size();
    std::vector<std::pair<float, std::uint32_t>> found;  // cosine, place
    found.reserve(facts_.examples);
    for (std::uint32_t i = 0; i < facts_.examples; ++i) {
        const auto dot = static_cast<float>(product(steps, row(heads + i)));
        found.emplace_back(dot / length / lengths_[i], i);
    }
    const std::size_t asked = std::min(kNearest, found.size());
    std::partial_sort(found.begin(),
                      found.begin() + static_cast<std::ptrdiff_t>(asked),
                      found.end(),
                      [](const auto& a, const auto& b) { return a.first > b.first; });
    Probabilities probabilities{};
    float total = 1e-9F;
    for (std::size_t i = 0; i < asked; ++i) {
        const auto& [cosine, place] = found[i];
        const float weight = std::pow(std::max(cosine, 0.0F), kSharpness);
        total += weight;
        for (std::size_t head = 0; head < heads; ++head) {
            probabilities[head] += truths_[place * heads + head] != 0 ? weight : 0.0F;
        }
    }
    for (float& one : probabilities) {
        one /= total;
    }
    return probabilities;
}

Probabilities EmbeddingHeads::opinion(std::span<const float> vector) const {
    const EmbeddingShares& shares = facts_.shares;
    const float both = std::max(shares.linear + shares.nearest, 1e-9F);
    Probabilities opinion = linear(vector);
    for (float& one : opinion) {
        one *= shares.linear / both;
    }
    if (shares.nearest > 0) {
        const Probabilities others = nearest(vector);
        for (std::size_t head = 0; head < opinion.size(); ++head) {
            opinion[head] += others[head] * shares.nearest / both;
        }
    }
    return opinion;
}

Probabilities EmbeddingHeads::sum(const Probabilities& words, const Probabilities& opinion) const {
    Probabilities sum = opinion;
    for (std::size_t head = 0; head < sum.size(); ++head) {
        sum[head] = facts_.shares.words * words[head] + (1 - facts_.shares.words) * opinion[head];
    }
    return sum;
}

std::string embedding_part(const EmbeddingFacts& facts,
                           std::string_view table,
                           std::string_view truths) {
    DROVER_ASSERT(truths.size() == facts.examples * facts.scales.size());
    std::string part;
    append(part,
           PartHeader{.size = facts.size,
                      .examples = facts.examples,
                      .model = static_cast<std::uint32_t>(facts.model.size()),
                      .knots = static_cast<std::uint32_t>(facts.knots.size()),
                      .frontier = static_cast<std::uint32_t>(facts.frontier.size()),
                      .shares = facts.shares});
    part += facts.model;
    append_all(part, facts.scales);
    append_all(part, facts.biases);
    append_all(part, facts.knots);
    append_all(part, facts.frontier);
    part += table;
    part += truths;
    return part;
}

}  // namespace drover::router
