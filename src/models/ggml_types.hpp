// The tensor types that GGUF files and KV caches use, with their block sizes. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace drover::models {

/// A ggml tensor type: `block_elements` values are stored in `block_bytes` bytes.
struct TensorType {
    std::uint32_t id = 0;   ///< as in the file
    std::string_view name;  ///< as ggml spells it: "f16", "q4_K"
    std::uint32_t block_elements = 1;
    std::uint32_t block_bytes = 0;

    /// Bytes of one row; nothing when `elements` is no multiple of the block or the result
    /// overflows.
    std::optional<std::uint64_t> row_bytes(std::uint64_t elements) const;
};

/// The type with this number, or nullptr for one that was removed or is not known.
const TensorType* find_tensor_type(std::uint32_t id);

/// The type with this name, without regard to case, or nullptr.
const TensorType* find_tensor_type(std::string_view name);

/// Name of a `general.file_type` number: 15 -> "Q4_K_M"; empty when not known.
std::string_view file_type_name(std::uint32_t file_type);

}  // namespace drover::models
