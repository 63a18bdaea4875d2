// What the files beside a model take, from their headers: adapters, the projector of a vision or
// audio model, a draft model. Pure but for read_companions, which blocks; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/units.hpp"
#include "models/gguf.hpp"
#include "models/model_facts.hpp"

namespace drover::models {

/// All tensors of a file.
Bytes tensor_bytes(const gguf::Header& header);

/// Buffers for the largest picture, or half a minute of sound, that the tower is given at once.
Bytes projector_buffers(const gguf::Header& header);

/// Reads the headers of the first two. A file without a readable one counts with its whole size:
/// whether the engine can use it is found out elsewhere.
Companions read_companions(const std::vector<std::filesystem::path>& adapters,
                           const std::optional<std::filesystem::path>& projector);

}  // namespace drover::models
