// Makes a smaller model file of a large one, with llama.cpp's own program. Blocks, for minutes with
// large models; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/manifest.hpp"
#include "store/progress.hpp"
#include "store/store.hpp"

namespace drover::store {

/// The type that `text` means, as llama.cpp writes it: "Q4_K_M" for "q4_k_m" and "q4_K".
/// `invalid_argument` lists what there is.
Result<std::string> quantisation_type(std::string_view text);

/// The layer of a blob of `store` that is the model `layer` in the type `type`, written by
/// `program`, a llama-quantize. A model that has the type already stays as it is;
/// `invalid_argument` when it is one of few bits already, from which nothing good comes.
/// `cancelled` when `stopped` says so. REQUIRES: the caller holds store.writing().
Result<Layer> quantise(const Store& store,
                       const Layer& layer,
                       const std::string& type,
                       const std::filesystem::path& program,
                       const OnProgress& on_progress,
                       const Stopped& stopped);

}  // namespace drover::store
