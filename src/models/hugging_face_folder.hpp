// Reads a folder in Hugging Face's layout. Blocks on the disk; any thread.
#pragma once

#include <filesystem>

#include "base/result.hpp"
#include "models/hugging_face.hpp"

namespace drover::models {

struct HuggingFaceFacts {
    HuggingFaceConfig config;
    SafetensorsFacts tensors;  ///< of all files together
};

/// From config.json and the heads of all *.safetensors; the tensors themselves are not read.
/// `not_found`: there is no config.json, or no tensors; `invalid_argument` names the broken file.
Result<HuggingFaceFacts> read_hugging_face_folder(const std::filesystem::path& folder);

}  // namespace drover::models
