// What a model in a store is made of: the manifest of Ollama's registry, which also lies on the
// disk. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "store/digest.hpp"

namespace drover::store {

inline constexpr std::string_view kManifestType =
    "application/vnd.docker.distribution.manifest.v2+json";
/// A manifest may be this long; real ones have a few kilobytes.
inline constexpr Bytes kManifestMax = 4_MiB;
/// Layers of one model at most; models of many tensors have a thousand or two.
inline constexpr std::size_t kLayersMax = 4096;

/// The last word of "application/vnd.ollama.image.model".
namespace layer_kind {
inline constexpr std::string_view kModel = "model";
inline constexpr std::string_view kProjector = "projector";
inline constexpr std::string_view kAdapter = "adapter";
inline constexpr std::string_view kTemplate = "template";
inline constexpr std::string_view kSystem = "system";
inline constexpr std::string_view kParams = "params";
inline constexpr std::string_view kMessages = "messages";
inline constexpr std::string_view kLicense = "license";
}  // namespace layer_kind

struct Layer {
    std::string media_type;
    Digest digest;
    Bytes size;
    std::string title{};  ///< annotation "org.opencontainers.image.title": the file's own name

    /// The last word of the media type when it is one of Ollama's, else empty.
    std::string_view kind() const;
};

struct Manifest {
    std::optional<Layer> config;
    std::vector<Layer> layers;

    /// Everything that it refers to, the config first.
    std::vector<Layer> all() const;
    std::vector<Layer> of_kind(std::string_view kind) const;
    Bytes size() const;
};

std::string media_type(std::string_view kind);

/// `invalid_argument` says what is wrong. Sizes are checked to be sensible, digests to be digests.
Result<Manifest> parse_manifest(std::string_view text);

std::string to_json(const Manifest& manifest);

/// What the config blob says.
struct ImageConfig {
    std::string format;        ///< "gguf"
    std::string family;        ///< "llama"
    std::string type;          ///< "7B"
    std::string quantisation;  ///< "Q4_K_M"
};

std::string to_json(const ImageConfig& config, const std::vector<Layer>& layers);

}  // namespace drover::store
