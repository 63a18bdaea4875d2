#include "models/repack.hpp"

#include <gtest/gtest.h>

namespace drover::models {
namespace {

WeightFacts weights_of(const char* type) {
    WeightFacts weights;
    weights.matrices[type] = {100_MiB, 90_MiB, 80_MiB, 60_MiB};
    weights.matrices["q8_0"] = {10_MiB, 10_MiB, 10_MiB, 10_MiB};
    weights.tied_type = "q4_0";
    weights.tied_output = {8_MiB, 8_MiB, 8_MiB, 8_MiB};
    return weights;
}

TEST(Repack, TakesTheTypesAndShapesThatTheProcessorHasKernelsFor) {
    CpuFeatures x86;
    x86.avx2 = true;
    EXPECT_EQ(repacked_weights(weights_of("q4_K"), x86).from_file, 80_MiB);
    EXPECT_EQ(repacked_weights(weights_of("q6_K"), x86).from_file, Bytes(0));
    EXPECT_EQ(repacked_weights(weights_of("q2_K"), x86).from_file, Bytes(0));
    x86.avx512 = true;
    EXPECT_EQ(repacked_weights(weights_of("q2_K"), x86).from_file, 80_MiB);
    CpuFeatures arm;
    arm.neon_dotprod = true;
    EXPECT_EQ(repacked_weights(weights_of("q4_0"), arm).from_file, 100_MiB);
    EXPECT_EQ(repacked_weights(weights_of("q6_K"), arm).from_file, 90_MiB);
}

TEST(Repack, CopiesATiedOutputOnTopOfTheFile) {
    CpuFeatures x86;
    x86.avx2 = true;
    const RepackedWeights repacked = repacked_weights(weights_of("q4_K"), x86);
    EXPECT_EQ(repacked.tied, 8_MiB);
    EXPECT_EQ(repacked.copies, 88_MiB);
}

TEST(Repack, DoesNothingOnAProcessorWithoutKernels) {
    EXPECT_EQ(repacked_weights(weights_of("q4_0"), {}).copies, Bytes(0));
}

}  // namespace
}  // namespace drover::models
