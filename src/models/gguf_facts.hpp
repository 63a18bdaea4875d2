// From GGUF headers to ModelFacts. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "models/gguf.hpp"
#include "models/model_facts.hpp"

namespace drover::models {

/// One file of a model and how long it is.
struct FilePart {
    gguf::Header header;
    std::uint64_t file_bytes = 0;
};

/// What the headers of all files of one model say: first the one with the metadata. REQUIRES:
/// `parts` not empty. `invalid_argument` when they describe no language model, or not all of one.
Result<ModelFacts> facts_from(std::span<const FilePart> parts);

}  // namespace drover::models
