#include "models/repack.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace drover::models {

namespace {

template <std::size_t N>
bool is_one_of(std::string_view type, const std::array<std::string_view, N>& types) {
    return std::find(types.begin(), types.end(), type) != types.end();
}

constexpr std::array<std::string_view, 8> kAmxTypes{
    "f16", "iq4_xs", "q4_0", "q4_1", "q4_K", "q5_K", "q6_K", "q8_0"};
constexpr std::array<std::string_view, 4> kAvx2Types{"iq4_nl", "mxfp4", "q4_0", "q4_K"};
constexpr std::array<std::string_view, 5> kNeonBy4{"iq4_nl", "mxfp4", "q1_0", "q4_0", "q8_0"};
constexpr std::array<std::string_view, 3> kNeonBy8{"q4_K", "q5_K", "q6_K"};

/// AMX tiles carry sums beside the weights: 4 bytes for each row and block of 32 at most.
constexpr std::int64_t kAmxGrowth = 4;  // a quarter

struct Part {
    Bytes taken;   ///< of the matrices
    Bytes copies;  ///< what they become
};

Part repacked_part(std::string_view type, const MatrixBytes& matrices, const CpuFeatures& cpu) {
    if (cpu.amx_int8 && is_one_of(type, kAmxTypes)) {
        const Bytes taken = matrices.rows_by_32;
        return {taken, taken + Bytes(taken.count() / kAmxGrowth)};
    }
    if ((cpu.avx2 && is_one_of(type, kAvx2Types)) || (cpu.avx512 && type == "q2_K") ||
        ((cpu.neon_dotprod || cpu.neon_i8mm) && is_one_of(type, kNeonBy8))) {
        return {matrices.rows_by_8, matrices.rows_by_8};
    }
    if ((cpu.neon_dotprod || cpu.neon_i8mm) && is_one_of(type, kNeonBy4)) {
        return {matrices.rows_by_4, matrices.rows_by_4};
    }
    return {};
}

}  // namespace

RepackedWeights repacked_weights(const WeightFacts& weights, const CpuFeatures& cpu) {
    RepackedWeights result;
    for (const auto& [type, matrices] : weights.matrices) {
        const Part part = repacked_part(type, matrices, cpu);
        result.from_file += part.taken;
        result.copies += part.copies;
    }
    result.tied = repacked_part(weights.tied_type, weights.tied_output, cpu).copies;
    result.copies += result.tied;
    return result;
}

}  // namespace drover::models
