// Which weights the engine rewrites into another layout for faster prompts, on this processor. Such
// weights live in memory of their own, whatever is mapped from the file. After llama.cpp v0.5.0.
// Pure; any thread.
#pragma once

#include "base/units.hpp"
#include "models/model_facts.hpp"

namespace drover::models {

/// What the processor can do, as far as repacking depends on it.
struct CpuFeatures {
    bool avx2 = false;
    bool avx512 = false;
    bool amx_int8 = false;
    bool neon_dotprod = false;
    bool neon_i8mm = false;
};

struct RepackedWeights {
    Bytes from_file;  ///< of the file's weights, how much is repacked
    Bytes tied;       ///< of an embedding table that serves as output, the repacked copy
    Bytes copies;     ///< what the repacked forms take, of both
};

/// What of `weights` is repacked on a processor with these features.
RepackedWeights repacked_weights(const WeightFacts& weights, const CpuFeatures& cpu);

}  // namespace drover::models
