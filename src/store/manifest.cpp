#include "store/manifest.hpp"

#include <array>
#include <cstdint>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace drover::store {

namespace json = boost::json;

namespace {

constexpr std::string_view kVendor = "application/vnd.ollama.image.";
constexpr std::string_view kConfigType = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kTitle = "org.opencontainers.image.title";
/// One layer: more than any model, less than what could make sums overflow.
constexpr std::int64_t kLayerBytesMax = std::int64_t{1} << 46;

Error bad(std::string_view why) {
    return {ErrorCode::invalid_argument, "the manifest " + std::string(why)};
}

const json::string* text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? nullptr : value->if_string();
}

Result<Layer> parse_layer(const json::value& value) {
    const json::object* object = value.if_object();
    if (object == nullptr) {
        return bad("has a layer that is no object");
    }
    const json::string* digest_text = text_of(*object, "digest");
    const json::value* size = object->if_contains("size");
    if (digest_text == nullptr || size == nullptr || !size->is_number()) {
        return bad("has a layer without digest or size");
    }
    boost::system::error_code error;
    const auto bytes = size->to_number<std::int64_t>(error);
    if (error || bytes < 0 || bytes > kLayerBytesMax) {
        return bad("has a layer with an impossible size");
    }
    auto digest = Digest::parse(std::string_view(*digest_text));
    if (!digest.ok()) {
        return bad("has a layer whose digest is wrong: " + digest.error().message);
    }
    Layer layer{.media_type = "", .digest = std::move(*digest), .size = Bytes(bytes)};
    if (const json::string* type = text_of(*object, "mediaType"); type != nullptr) {
        layer.media_type = std::string(*type);
    }
    if (const json::value* notes = object->if_contains("annotations");
        notes != nullptr && notes->is_object()) {
        if (const json::string* title = text_of(notes->get_object(), kTitle); title != nullptr) {
            layer.title = std::string(*title);
        }
    }
    return layer;
}

json::object layer_object(const Layer& layer) {
    json::object object{{"mediaType", layer.media_type},
                        {"digest", layer.digest.to_string()},
                        {"size", layer.size.count()}};
    if (!layer.title.empty()) {
        object["annotations"] = json::object{{kTitle, layer.title}};
    }
    return object;
}

}  // namespace

std::string_view Layer::kind() const {
    const std::string_view type = media_type;
    return type.starts_with(kVendor) ? type.substr(kVendor.size()) : std::string_view();
}

std::vector<Layer> Manifest::all() const {
    std::vector<Layer> all;
    if (config.has_value()) {
        all.push_back(*config);
    }
    all.insert(all.end(), layers.begin(), layers.end());
    return all;
}

std::vector<Layer> Manifest::of_kind(std::string_view kind) const {
    std::vector<Layer> found;
    for (const Layer& layer : layers) {
        if (layer.kind() == kind) {
            found.push_back(layer);
        }
    }
    return found;
}

Bytes Manifest::size() const {
    Bytes sum;
    for (const Layer& layer : all()) {
        sum += layer.size;
    }
    return sum;
}

std::string media_type(std::string_view kind) {
    return std::string(kVendor) + std::string(kind);
}

Result<Manifest> parse_manifest(std::string_view text) {
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr) {
        return bad("is no JSON object");
    }
    const json::value* layers = object->if_contains("layers");
    if (layers == nullptr || !layers->is_array() || layers->get_array().empty()) {
        return bad("has no layers");
    }
    if (layers->get_array().size() > kLayersMax) {
        return bad("has more than " + std::to_string(kLayersMax) + " layers");
    }
    Manifest manifest;
    for (const json::value& one : layers->get_array()) {
        auto layer = parse_layer(one);
        if (!layer.ok()) {
            return layer.error();
        }
        manifest.layers.push_back(std::move(*layer));
    }
    if (const json::value* config = object->if_contains("config");
        config != nullptr && config->is_object() && config->get_object().contains("digest")) {
        auto layer = parse_layer(*config);
        if (!layer.ok()) {
            return layer.error();
        }
        manifest.config = std::move(*layer);
    }
    return manifest;
}

std::string to_json(const Manifest& manifest) {
    json::array layers;
    for (const Layer& layer : manifest.layers) {
        layers.emplace_back(layer_object(layer));
    }
    json::object object{{"schemaVersion", 2}, {"mediaType", kManifestType}};
    if (manifest.config.has_value()) {
        json::object config = layer_object(*manifest.config);
        config["mediaType"] = kConfigType;
        object["config"] = std::move(config);
    }
    object["layers"] = std::move(layers);
    return json::serialize(object);
}

std::string to_json(const ImageConfig& config, const std::vector<Layer>& layers) {
    json::array ids;
    for (const Layer& layer : layers) {
        ids.emplace_back(layer.digest.to_string());
    }
    return json::serialize(
        json::object{{"model_format", config.format},
                     {"model_family", config.family},
                     {"model_families", json::array{json::value(config.family)}},
                     {"model_type", config.type},
                     {"file_type", config.quantisation},
                     {"architecture", "amd64"},
                     {"os", "linux"},
                     {"rootfs", json::object{{"type", "layers"}, {"diff_ids", std::move(ids)}}}});
}

}  // namespace drover::store
