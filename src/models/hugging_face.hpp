// What a folder in Hugging Face's layout says of its model: config.json and the heads of
// *.safetensors, as far as memory depends on them. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::models {

/// From config.json. 0: it does not say.
struct HuggingFaceConfig {
    std::string architecture;  ///< "LlamaForCausalLM"
    std::uint32_t layers = 0;
    std::uint32_t heads = 0;  ///< of attention
    std::uint32_t kv_heads = 0;
    std::uint32_t head_length = 0;
    std::uint32_t context_length = 0;
    std::uint32_t hidden_length = 0;
    bool pooling = false;  ///< it makes embeddings, no text
    bool vision = false;   ///< it takes pictures

    /// Keys and values of one position in 16 bits; 0 when it keeps none, or nobody knows.
    Bytes kv_per_token() const;
};

/// `invalid_argument`: it is no JSON object, or a number in it cannot be.
Result<HuggingFaceConfig> parse_hugging_face_config(std::string_view json);

/// The longest head of a *.safetensors file that is read; the format's own limit.
inline constexpr Bytes kSafetensorsHeadMax = 100_MiB;

/// How long the head is that follows the first eight bytes of a file. `invalid_argument`: too long,
/// or `start` is shorter than that.
Result<std::uint64_t> safetensors_head_length(std::string_view start);

/// Tensors of one file.
struct SafetensorsFacts {
    std::uint64_t tensors = 0;
    std::uint64_t parameters = 0;
    Bytes stored;  ///< as they lie in the file
    Bytes loaded;  ///< wide floating-point numbers in 16 bits, as engines take them
};

/// From the head, which is JSON. `invalid_argument`: it is not, or its offsets, shapes and types do
/// not fit together or lie beyond `data_bytes`, what follows the head in the file.
Result<SafetensorsFacts> parse_safetensors(std::string_view head, std::uint64_t data_bytes);

}  // namespace drover::models
