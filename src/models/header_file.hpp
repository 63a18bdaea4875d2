// Reads the GGUF headers of a model's files from the disk. Blocks; any thread.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.hpp"
#include "models/gguf_facts.hpp"

namespace drover::models {

/// The header of one file. `not_found` or `io_error` when it cannot be read, else as read_header.
Result<FilePart> read_part(const std::filesystem::path& file);

/// All files of the model that `file` belongs to: itself, or the parts of a split one in order.
/// `not_found` names the part that is missing.
Result<std::vector<std::filesystem::path>> files_of_model(const std::filesystem::path& file);

/// The facts of the model in `files`.
Result<ModelFacts> read_facts(const std::vector<std::filesystem::path>& files);

}  // namespace drover::models
