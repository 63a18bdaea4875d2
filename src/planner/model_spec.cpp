#include "planner/model_spec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "base/assert.hpp"

namespace drover::planner {

namespace {

using models::LayerFacts;
using models::MatrixBytes;
using models::ModelFacts;

/// The shape of a well-known dense model of about this many parameters.
struct Shape {
    double parameters;
    std::uint32_t layers, width, feed_forward, heads, kv_heads, head_length, vocabulary;
};

// SmolLM2 135M, Qwen 3 0.6B, Llama 3.2 1B and 3B, Llama 3.1 8B, Qwen 3 14B and 32B, Llama 3.1 70B,
// Mistral Large, Llama 3.1 405B: what their files say.
constexpr std::array<Shape, 10> kShapes{{
    {0.135e9, 30, 576, 1536, 9, 3, 64, 49'152},
    {0.6e9, 28, 1024, 3072, 16, 8, 128, 151'936},
    {1.24e9, 16, 2048, 8192, 32, 8, 64, 128'256},
    {3.2e9, 28, 3072, 8192, 24, 8, 128, 128'256},
    {8.0e9, 32, 4096, 14'336, 32, 8, 128, 128'256},
    {14.8e9, 40, 5120, 17'408, 40, 8, 128, 151'936},
    {32.8e9, 64, 5120, 25'600, 64, 8, 128, 151'936},
    {70.6e9, 80, 8192, 28'672, 64, 8, 128, 128'256},
    {122.6e9, 88, 12'288, 28'672, 96, 8, 128, 32'768},
    {405.9e9, 126, 16'384, 53'248, 128, 8, 128, 128'256},
}};

struct Quantisation {
    std::string_view name;
    double bits;
};

// From llama.cpp's table for Llama 3.1 8B (tools/quantize/README.md); Q4_0, Q4_1 and Q5_0 from
// their block sizes, with the output in Q6_K. Larger models have relatively smaller tables, so take
// up to 2 % less.
constexpr std::array<Quantisation, 29> kQuantisations{{
    {"IQ1_S", 2.00},  {"IQ1_M", 2.15},  {"IQ2_XXS", 2.38}, {"IQ2_XS", 2.59},  {"IQ2_S", 2.74},
    {"IQ2_M", 2.93},  {"Q2_K_S", 2.97}, {"Q2_K", 3.16},    {"IQ3_XXS", 3.25}, {"IQ3_XS", 3.50},
    {"Q3_K_S", 3.64}, {"IQ3_S", 3.66},  {"IQ3_M", 3.76},   {"Q3_K_M", 4.00},  {"Q3_K_L", 4.30},
    {"MXFP4", 4.30},  {"IQ4_XS", 4.46}, {"Q4_0", 4.60},    {"Q4_K_S", 4.67},  {"IQ4_NL", 4.68},
    {"Q4_K_M", 4.89}, {"Q4_1", 5.10},   {"Q5_K_S", 5.57},  {"Q5_0", 5.57},    {"Q5_K_M", 5.70},
    {"Q6_K", 6.56},   {"Q8_0", 8.50},   {"BF16", 16},      {"F16", 16},
}};

constexpr double kBillion = 1e9;
constexpr double kMillion = 1e6;
constexpr double kParametersMin = kMillion;
constexpr double kParametersMax = 10'000 * kBillion;
constexpr std::uint32_t kTrainedContext = 131'072;

// Models for embeddings are encoders with BERT's vocabulary: they keep nothing, and read a whole
// input at once.
constexpr std::uint32_t kEncoderContext = 2'048;
constexpr std::uint32_t kEncoderVocabulary = 30'528;

// Of a dense model's parameters those that each expert of a mixture has for itself, the rest being
// shared: with it Mixtral's 8x7B (46.7 billion) and 8x22B (141) come out within 3 %. Two experts
// compute a token.
constexpr double kExpertPart = 0.8;
constexpr std::uint32_t kExpertsUsed = 2;
constexpr double kExpertsMax = 1024;

std::string upper(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : static_cast<char>(c);
    });
    return result;
}

/// "q4" and the like, as people say it.
std::string full_name(const std::string& quantisation) {
    constexpr std::pair<std::string_view, std::string_view> kShort[] = {{"Q2", "Q2_K"},
                                                                        {"Q3", "Q3_K_M"},
                                                                        {"Q4", "Q4_0"},
                                                                        {"Q5", "Q5_K_M"},
                                                                        {"Q6", "Q6_K"},
                                                                        {"Q8", "Q8_0"},
                                                                        {"FP16", "F16"}};
    for (const auto& [from, to] : kShort) {
        if (quantisation == from) {
            return std::string(to);
        }
    }
    return quantisation;
}

/// The tensor type of the matrices: "Q4_K" of "Q4_K_M".
std::string matrix_type(std::string_view quantisation) {
    const bool has_suffix = quantisation.ends_with("_S") || quantisation.ends_with("_M") ||
                            quantisation.ends_with("_L");
    return std::string(has_suffix ? quantisation.substr(0, quantisation.size() - 2) : quantisation);
}

/// Parameters of "7b", "0.5B", "270m"; nullopt for anything else.
std::optional<double> parameters_of(std::string_view text) {
    if (text.empty()) {
        return std::nullopt;
    }
    const char unit = text.back();
    const double factor = unit == 'b' || unit == 'B'   ? kBillion
                          : unit == 'm' || unit == 'M' ? kMillion
                                                       : 0;
    text.remove_suffix(1);
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (factor == 0 || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number * factor;
}

/// "7b", or "8x7b": so many experts beside each other.
struct Size {
    double parameters;  ///< of one expert's whole model
    double experts = 1;

    double total() const { return parameters * (1 + (experts - 1) * kExpertPart); }
};

std::optional<Size> size_of(std::string_view text) {
    Size size{};
    const std::size_t times = text.find('x');
    if (times != std::string_view::npos) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + times, size.experts);
        if (error != std::errc() || end != text.data() + times || !(size.experts >= 2) ||
            size.experts > kExpertsMax || size.experts != std::floor(size.experts)) {
            return std::nullopt;
        }
        text.remove_prefix(times + 1);
    }
    const auto parameters = parameters_of(text);
    if (!parameters.has_value()) {
        return std::nullopt;
    }
    size.parameters = *parameters;
    return size;
}

const Shape& shape_of(double parameters) {
    return *std::min_element(
        kShapes.begin(), kShapes.end(), [parameters](const Shape& a, const Shape& b) {
            return std::abs(std::log(a.parameters / parameters)) <
                   std::abs(std::log(b.parameters / parameters));
        });
}

ModelFacts facts_of(const Size& size, const std::string& quantisation, bool embeds) {
    const Shape& shape = shape_of(size.parameters);
    ModelFacts facts;
    facts.architecture = embeds ? "bert" : "llama";
    facts.parameters = static_cast<std::uint64_t>(size.total());
    facts.context_length = embeds ? kEncoderContext : kTrainedContext;
    facts.embedding_length = facts.output_length = shape.width;
    facts.feed_forward_length = shape.feed_forward;
    if (size.experts > 1) {
        facts.expert_count = static_cast<std::uint32_t>(size.experts);
        facts.experts_used = kExpertsUsed;
        facts.feed_forward_length *= kExpertsUsed;
    }
    facts.attention_width = shape.heads * shape.head_length;
    facts.head_count = shape.heads;
    facts.vocabulary = embeds ? kEncoderVocabulary : shape.vocabulary;
    facts.merges = embeds ? 0 : shape.vocabulary;
    facts.pooling = facts.pooling_named = embeds;
    facts.causal = !embeds;
    facts.cache = embeds ? models::CacheKind::none : models::CacheKind::attention;
    const std::uint64_t kept = embeds ? 0 : std::uint64_t{shape.kv_heads} * shape.head_length;
    facts.layers.assign(shape.layers, LayerFacts{.key_elements = kept, .value_elements = kept});
    return requantised(std::move(facts), quantisation);
}

}  // namespace

std::optional<double> bits_of(std::string_view quantisation) {
    for (const Quantisation& one : kQuantisations) {
        if (one.name == quantisation) {
            return one.bits;
        }
    }
    return std::nullopt;
}

ModelFacts requantised(ModelFacts facts, std::string_view quantisation) {
    const auto bits = bits_of(quantisation);
    DROVER_ASSERT(bits.has_value());
    // A file with more bits than its name says, for instance in a large table, keeps more of them.
    const double usual =
        static_cast<double>(facts.parameters) * bits_of(facts.quantisation).value_or(0) / 8;
    const double more = usual > 0 ? static_cast<double>(facts.weights.total.count()) / usual : 1;
    const auto bytes = [&](double parameters) {
        return Bytes(static_cast<std::int64_t>(parameters * *bits / 8 * more));
    };
    const Bytes total = bytes(static_cast<double>(facts.parameters));
    const Bytes table = bytes(static_cast<double>(facts.vocabulary) * facts.embedding_length);
    const Bytes header = facts.header_size;
    facts.quantisation = quantisation;
    facts.weights = {};
    facts.weights.total = total;
    facts.weights.input_embedding = std::min(table, total);
    facts.weights.largest_tensor = facts.weights.input_embedding;
    const Bytes rest = total - facts.weights.input_embedding;
    facts.weights.matrices[matrix_type(quantisation)] = MatrixBytes{rest, rest, rest, rest};
    facts.weights.output = facts.causal ? std::min(table, rest) : Bytes(0);
    const Bytes layers = rest - facts.weights.output;
    for (LayerFacts& layer : facts.layers) {
        layer.weights = Bytes(layers.count() / std::ssize(facts.layers));
    }
    facts.file_size = total + header;
    return facts;
}

std::optional<Result<ModelFacts>> facts_of_spec(std::string_view text) {
    std::string_view rest = text;
    bool embeds = false;
    if (text == "embedding" || text == "embed") {
        return facts_of({.parameters = 0.6 * kBillion}, "F16", true);
    }
    for (const std::string_view prefix : {"embedding-", "embed-"}) {
        if (rest.starts_with(prefix)) {
            rest.remove_prefix(prefix.size());
            embeds = true;
            break;
        }
    }
    const std::size_t cut = rest.find_first_of("-:");
    const auto size = size_of(rest.substr(0, cut));
    if (!size.has_value()) {
        return std::nullopt;
    }
    if (!(size->parameters >= kParametersMin && size->total() <= kParametersMax)) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "': the size must be between 1m and 10000b"};
    }
    const std::string quantisation =
        cut == std::string_view::npos ? "Q4_K_M" : full_name(upper(rest.substr(cut + 1)));
    if (!bits_of(quantisation).has_value()) {
        std::string known;
        for (const Quantisation& one : kQuantisations) {
            known += (known.empty() ? "" : ", ") + std::string(one.name);
        }
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "': '" + quantisation +
                         "' is no quantisation; there are " + known};
    }
    return facts_of(*size, quantisation, embeds);
}

}  // namespace drover::planner
