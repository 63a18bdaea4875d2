#include "models/companions.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "models/header_file.hpp"

namespace drover::models {

namespace {

constexpr std::uint64_t kFloat = 4;
/// Far above any real width or side; products of four stay within 64 bits.
constexpr std::uint64_t kWidthMax = 1U << 15;
/// Tokens of the largest picture where the tower takes any size: the engine's limit for most.
constexpr std::uint64_t kTokensMax = 4096;
/// Whisper's encoder: 3,000 frames of 10 ms, two in one.
constexpr std::uint64_t kSoundPositions = 1500;
/// Hidden states alive at once, and what attention adds to them.
constexpr std::uint64_t kHiddenStates = 4;
constexpr std::uint64_t kAttentionStates = 4;
constexpr std::uint64_t kForwardWidths = 2;

/// Towers that take pictures of any size, by the beginning of their projector's type. The others
/// cut a picture into squares of the size that they were trained with.
constexpr std::array<std::string_view, 12> kAnySize{"qwen2vl",
                                                    "qwen2.5vl",
                                                    "qwen3vl",
                                                    "qwen2.5o",
                                                    "pixtral",
                                                    "kimivl",
                                                    "kimik25",
                                                    "lightonocr",
                                                    "glm4v",
                                                    "paddleocr",
                                                    "youtuvl",
                                                    "dotsocr"};

std::uint64_t number(const gguf::Header& header, const std::string& key) {
    return std::min(header.number(key).value_or(0), kWidthMax);
}

bool takes_any_size(const gguf::Header& header) {
    const std::string_view type = header.text("clip.vision.projector_type")
                                      .value_or(header.text("clip.projector_type").value_or(""));
    return std::any_of(kAnySize.begin(), kAnySize.end(), [type](std::string_view known) {
        return type.starts_with(known);
    });
}

/// Patches of one picture.
std::uint64_t patches(const gguf::Header& header) {
    const std::uint64_t patch =
        std::max<std::uint64_t>(number(header, "clip.vision.patch_size"), 1);
    const std::uint64_t side = number(header, "clip.vision.image_size") / patch;
    const std::uint64_t merged =
        std::max<std::uint64_t>(number(header, "clip.vision.spatial_merge_size"), 1);
    const std::uint64_t most =
        takes_any_size(header) ? kTokensMax * std::min<std::uint64_t>(merged * merged, 16) : 0;
    // One more for the class of the whole picture.
    return std::max(side * side + 1, most);
}

/// Activations of one layer, as in the language model: what is largest, attention or feed-forward.
std::uint64_t activations(const gguf::Header& header, const std::string& tower) {
    const std::uint64_t width = number(header, tower + ".embedding_length");
    const std::uint64_t forward = number(header, tower + ".feed_forward_length");
    return width * kHiddenStates + std::max(width * kAttentionStates, forward * kForwardWidths);
}

/// The header, or how long the file is.
std::optional<FilePart> header_of(const std::filesystem::path& file, Bytes& size) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    size = error ? Bytes(0) : as_bytes(bytes);
    auto part = read_part(file);
    return part.ok() ? std::optional(std::move(part).value()) : std::nullopt;
}

}  // namespace

Bytes tensor_bytes(const gguf::Header& header) {
    // Each lies within the file, whose length is a number of bytes.
    Bytes sum;
    for (const gguf::Tensor& tensor : header.tensors) {
        sum += as_bytes(tensor.bytes);
    }
    return sum;
}

Bytes projector_buffers(const gguf::Header& header) {
    Bytes most;
    if (header.boolean("clip.has_vision_encoder").value_or(false)) {
        most = as_bytes(patches(header) * activations(header, "clip.vision") * kFloat);
    }
    if (header.boolean("clip.has_audio_encoder").value_or(false)) {
        most =
            std::max(most, as_bytes(kSoundPositions * activations(header, "clip.audio") * kFloat));
    }
    return most;
}

Companions read_companions(const std::vector<std::filesystem::path>& adapters,
                           const std::optional<std::filesystem::path>& projector) {
    Companions beside;
    Bytes size;
    for (const std::filesystem::path& adapter : adapters) {
        const auto part = header_of(adapter, size);
        beside.adapters += part.has_value() ? tensor_bytes(part->header) : size;
    }
    if (projector.has_value()) {
        const auto part = header_of(*projector, size);
        beside.projector = part.has_value() ? tensor_bytes(part->header) : size;
        beside.projector_buffers = part.has_value() ? projector_buffers(part->header) : Bytes(0);
    }
    return beside;
}

}  // namespace drover::models
