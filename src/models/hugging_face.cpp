#include "models/hugging_face.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace drover::models {

namespace {

namespace json = boost::json;

/// Above anything that exists; bounds what is multiplied later.
constexpr std::uint64_t kCountMax = 1U << 24;

/// Bytes of a position: far above any model, and small enough to be multiplied by a context.
constexpr std::uint64_t kPositionMax = 1U << 28;

/// Deeper than any of these files.
constexpr std::size_t kDepthMax = 16;

constexpr std::uint64_t kBytesMax = std::numeric_limits<std::int64_t>::max();

Error bad(std::string message) {
    return {ErrorCode::invalid_argument, std::move(message)};
}

Result<json::object> parse_object(std::string_view text, const char* what) {
    json::parse_options options;
    options.max_depth = kDepthMax;
    json::error_code failed;
    json::value value = json::parse({text.data(), text.size()}, failed, {}, options);
    if (failed || !value.is_object()) {
        return bad(std::string(what) + " is no JSON object");
    }
    return std::move(value.as_object());
}

/// A number that counts something; 0 when `key` is not there or null.
Result<std::uint32_t> count_of(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return std::uint32_t{0};
    }
    json::error_code failed;
    const auto number = value->to_number<std::uint64_t>(failed);
    if (failed || number > kCountMax) {
        return bad(std::string(key) + " in config.json cannot be");
    }
    return static_cast<std::uint32_t>(number);
}

/// Bits of one element; nullopt: unknown.
std::optional<std::uint64_t> bits_of(std::string_view type) {
    constexpr std::array<std::pair<std::string_view, std::uint64_t>, 21> kTypes{
        {{"F64", 64},       {"I64", 64},    {"U64", 64},    {"C64", 64},    {"F32", 32},
         {"I32", 32},       {"U32", 32},    {"F16", 16},    {"BF16", 16},   {"I16", 16},
         {"U16", 16},       {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"I8", 8},
         {"U8", 8},         {"BOOL", 8},    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
         {"F8_E4M3FNUZ", 8}}};
    for (const auto& [name, bits] : kTypes) {
        if (name == type) {
            return bits;
        }
    }
    return std::nullopt;
}

bool is_wide(std::string_view type) {
    return type == "F32" || type == "F64";
}

/// The number of elements; nullopt: no shape, or more than can be.
std::optional<std::uint64_t> elements_of(const json::value* shape) {
    if (shape == nullptr || !shape->is_array()) {
        return std::nullopt;
    }
    std::uint64_t elements = 1;
    for (const json::value& side : shape->get_array()) {
        json::error_code failed;
        const auto length = side.to_number<std::uint64_t>(failed);
        if (failed || (length != 0 && elements > kBytesMax / 64 / length)) {
            return std::nullopt;
        }
        elements *= length;
    }
    return elements;
}

struct Offsets {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

std::optional<Offsets> offsets_of(const json::value* value) {
    if (value == nullptr || !value->is_array() || value->get_array().size() != 2) {
        return std::nullopt;
    }
    json::error_code first;
    json::error_code second;
    const Offsets offsets{value->get_array()[0].to_number<std::uint64_t>(first),
                          value->get_array()[1].to_number<std::uint64_t>(second)};
    return first || second || offsets.begin > offsets.end ? std::nullopt : std::optional(offsets);
}

/// Adds one tensor to `facts`; false when it cannot be.
bool add_tensor(const json::value& value, std::uint64_t data_bytes, SafetensorsFacts& facts) {
    const json::object* tensor = value.if_object();
    const json::value* type = tensor == nullptr ? nullptr : tensor->if_contains("dtype");
    if (type == nullptr || !type->is_string()) {
        return false;
    }
    const std::string_view name(type->get_string().data(), type->get_string().size());
    const auto bits = bits_of(name);
    const auto elements = elements_of(tensor->if_contains("shape"));
    const auto offsets = offsets_of(tensor->if_contains("data_offsets"));
    if (!bits.has_value() || !elements.has_value() || !offsets.has_value() ||
        offsets->end > data_bytes || offsets->end - offsets->begin != (*elements * *bits + 7) / 8) {
        return false;
    }
    const auto stored = static_cast<std::int64_t>(offsets->end - offsets->begin);
    const auto narrow = static_cast<std::int64_t>(*elements * 2);
    // Tensors that lie on each other would make more than the file holds.
    if (facts.stored.count() + stored > static_cast<std::int64_t>(data_bytes)) {
        return false;
    }
    ++facts.tensors;
    facts.parameters += *elements;
    facts.stored += Bytes(stored);
    facts.loaded += Bytes(is_wide(name) ? narrow : stored);
    return true;
}

}  // namespace

Bytes HuggingFaceConfig::kv_per_token() const {
    constexpr std::uint64_t kBytesEach = 2 * 2;  // a key and a value, 16 bits
    if (pooling) {
        return Bytes(0);
    }
    const std::uint64_t width = std::min(std::uint64_t{kv_heads} * head_length, kCountMax);
    return Bytes(static_cast<std::int64_t>(std::min(width * layers * kBytesEach, kPositionMax)));
}

Result<HuggingFaceConfig> parse_hugging_face_config(std::string_view text) {
    auto root = parse_object(text, "config.json");
    if (!root.ok()) {
        return root.error();
    }
    HuggingFaceConfig config;
    if (const json::value* names = root->if_contains("architectures");
        names != nullptr && names->is_array() && !names->get_array().empty() &&
        names->get_array()[0].is_string()) {
        config.architecture = names->get_array()[0].get_string().c_str();
    }
    // A model that also sees or hears has its language part in there.
    const json::value* nested = root->if_contains("text_config");
    const json::object& object =
        nested != nullptr && nested->is_object() ? nested->get_object() : *root;
    const std::pair<const char*, std::uint32_t*> counts[] = {
        {"num_hidden_layers", &config.layers},
        {"num_attention_heads", &config.heads},
        {"num_key_value_heads", &config.kv_heads},
        {"head_dim", &config.head_length},
        {"max_position_embeddings", &config.context_length},
        {"hidden_size", &config.hidden_length}};
    for (const auto& [key, place] : counts) {
        const auto count = count_of(object, key);
        if (!count.ok()) {
            return count.error();
        }
        *place = *count;
    }
    if (config.kv_heads == 0) {
        config.kv_heads = config.heads;
    }
    if (config.head_length == 0 && config.heads > 0) {
        config.head_length = config.hidden_length / config.heads;
    }
    config.vision = root->contains("vision_config");
    // "BertModel" has no head that makes text; "LlamaForCausalLM" does.
    config.pooling = config.architecture.ends_with("Model") ||
                     config.architecture.find("SequenceClassification") != std::string::npos;
    return config;
}

Result<std::uint64_t> safetensors_head_length(std::string_view start) {
    constexpr std::size_t kLengthBytes = 8;
    if (start.size() < kLengthBytes) {
        return bad("is too short for a safetensors file");
    }
    std::uint64_t length = 0;
    for (std::size_t i = kLengthBytes; i-- > 0;) {
        length = length << 8 | static_cast<unsigned char>(start[i]);
    }
    if (length > static_cast<std::uint64_t>(kSafetensorsHeadMax.count())) {
        return bad("is no safetensors file: its head would be too long");
    }
    return length;
}

Result<SafetensorsFacts> parse_safetensors(std::string_view head, std::uint64_t data_bytes) {
    const auto tensors = parse_object(head, "the head of the safetensors file");
    if (!tensors.ok()) {
        return tensors.error();
    }
    if (data_bytes > kBytesMax / 64) {
        return bad("no file is that long");
    }
    SafetensorsFacts facts;
    for (const auto& [name, tensor] : *tensors) {
        if (name != "__metadata__" && !add_tensor(tensor, data_bytes, facts)) {
            return bad("tensor '" + std::string(name.substr(0, 100)) +
                       "' does not fit into the file, or is of an unknown type");
        }
    }
    return facts;
}

}  // namespace drover::models
