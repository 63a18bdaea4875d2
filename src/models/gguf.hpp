// Bounded reader of GGUF headers: metadata and the table of tensors, never the tensors themselves.
// Made for files from anywhere: every length is checked against what is there, and what it
// allocates is bounded by the bytes it was given. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "models/ggml_types.hpp"

namespace drover::models::gguf {

/// A header may be this long at most; real ones are below 32 MiB (large vocabularies).
inline constexpr std::uint64_t kHeaderBytesMax = std::uint64_t{128} << 20;

/// Longer numeric arrays are counted but not kept: per-layer arrays have at most 512 elements.
inline constexpr std::uint64_t kArrayElementsKept = 1024;

/// Longer strings are cut in memory (not in the file): nothing that Drover shows is longer.
inline constexpr std::size_t kStringBytesKept = std::size_t{1} << 20;

/// An array of the metadata. Nested arrays are refused, as the engine does.
struct Array {
    std::uint64_t count = 0;
    std::vector<double> numbers;  ///< all `count` elements, or none when too many or not numeric
};

using Value = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, Array>;

/// One row of the table of tensors.
struct Tensor {
    std::string name;
    const TensorType* type = nullptr;
    std::array<std::uint64_t, 4> shape{1, 1, 1, 1};  ///< elements; shape[0] is the row length
    std::uint32_t dimensions = 1;                    ///< without trailing ones, as ggml counts them
    std::uint64_t offset = 0;                        ///< into the data section
    std::uint64_t bytes = 0;

    std::uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
};

/// Everything before the tensor data of one file.
struct Header {
    std::uint32_t version = 0;
    std::uint64_t alignment = 32;
    std::map<std::string, Value, std::less<>> metadata;
    std::vector<Tensor> tensors;
    std::uint64_t data_offset = 0;  ///< where the data section begins in the file
    std::uint64_t data_bytes = 0;   ///< up to the end of the last tensor

    /// The value as a whole number; nothing when missing, negative, not a number or too large.
    std::optional<std::uint64_t> number(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::string_view> text(std::string_view key) const;
    const Array* array(std::string_view key) const;
};

/// The prefix does not hold the whole header: at least this many bytes of the file are needed.
struct Incomplete {
    std::uint64_t bytes_needed = 0;
};

/// Reads the header from the first bytes of a file that is `file_bytes` long. `Incomplete` when the
/// file goes on and more of it is needed. `invalid_argument` when this is no GGUF file that the
/// engine could load: the message says what is wrong, and for a truncated file how much is missing.
Result<std::variant<Header, Incomplete>> read_header(std::span<const std::byte> prefix,
                                                     std::uint64_t file_bytes);

}  // namespace drover::models::gguf
