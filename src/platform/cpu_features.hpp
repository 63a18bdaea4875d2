// What this processor can do. Any thread.
#pragma once

namespace drover::platform {

/// Instruction sets that engines choose code by. Those of other architectures are false.
struct ProcessorFeatures {
    bool avx2 = false;
    bool avx512 = false;
    bool amx_int8 = false;
    bool neon_dotprod = false;
    bool neon_i8mm = false;
};

ProcessorFeatures processor_features();

/// Processors that this process may run on; at least 1.
unsigned processor_count();

/// Cores that they belong to, of which some carry two of them; at least 1.
unsigned core_count();

}  // namespace drover::platform
