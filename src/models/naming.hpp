// How model files become names that people type, and which names are near to a mistyped one.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover::models {

/// A file name of the form "base-00002-of-00005": one file of a split model.
struct SplitName {
    std::string base;
    std::uint32_t part = 0;  ///< from 1
    std::uint32_t count = 0;

    /// The stem of another part of the same model.
    std::string stem_of(std::uint32_t other) const;
};

/// Splits a file stem; nothing when it is no part of a split model.
std::optional<SplitName> parse_split_name(std::string_view stem);

/// The name of the model in a file: its stem in lower case up to the quantisation.
/// "SmolLM2-135M-Instruct.Q4_1" -> "smollm2-135m-instruct". Without one: the whole stem.
std::string short_name(std::string_view stem);

/// True for projectors of vision and audio models, which are no models of their own.
bool is_projector(std::string_view stem);

}  // namespace drover::models
