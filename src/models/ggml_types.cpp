#include "models/ggml_types.hpp"

#include <array>
#include <limits>

#include "base/text.hpp"

namespace drover::models {

namespace {

// Numbers and block layouts of ggml at llama.cpp v0.5.0. Gaps are types that were removed: a file
// that uses one cannot be loaded, so they are unknown here too.
constexpr std::array<TensorType, 35> kTensorTypes{{
    {0, "f32", 1, 4},         {1, "f16", 1, 2},         {2, "q4_0", 32, 18},
    {3, "q4_1", 32, 20},      {6, "q5_0", 32, 22},      {7, "q5_1", 32, 24},
    {8, "q8_0", 32, 34},      {9, "q8_1", 32, 36},      {10, "q2_K", 256, 84},
    {11, "q3_K", 256, 110},   {12, "q4_K", 256, 144},   {13, "q5_K", 256, 176},
    {14, "q6_K", 256, 210},   {15, "q8_K", 256, 292},   {16, "iq2_xxs", 256, 66},
    {17, "iq2_xs", 256, 74},  {18, "iq3_xxs", 256, 98}, {19, "iq1_s", 256, 50},
    {20, "iq4_nl", 32, 18},   {21, "iq3_s", 256, 110},  {22, "iq2_s", 256, 82},
    {23, "iq4_xs", 256, 136}, {24, "i8", 1, 1},         {25, "i16", 1, 2},
    {26, "i32", 1, 4},        {27, "i64", 1, 8},        {28, "f64", 1, 8},
    {29, "iq1_m", 256, 56},   {30, "bf16", 1, 2},       {34, "tq1_0", 256, 54},
    {35, "tq2_0", 256, 66},   {39, "mxfp4", 32, 17},    {40, "nvfp4", 64, 36},
    {41, "q1_0", 128, 18},    {42, "q2_0", 64, 18},
}};

constexpr std::array<std::string_view, 42> kFileTypes{
    "F32",   "F16",     "Q4_0",   "Q4_1",   "",       "",        "",       "Q8_0",   "Q5_0",
    "Q5_1",  "Q2_K",    "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
    "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
    "IQ3_M", "IQ2_S",   "IQ2_M",  "IQ4_XS", "IQ1_M",  "BF16",    "",       "",       "",
    "TQ1_0", "TQ2_0",   "MXFP4",  "NVFP4",  "Q1_0",   "Q2_0"};

}  // namespace

std::optional<std::uint64_t> TensorType::row_bytes(std::uint64_t elements) const {
    const std::uint64_t blocks = elements / block_elements;
    if (elements % block_elements != 0 ||
        blocks > std::numeric_limits<std::uint64_t>::max() / block_bytes) {
        return std::nullopt;
    }
    return blocks * block_bytes;
}

const TensorType* find_tensor_type(std::uint32_t id) {
    for (const TensorType& type : kTensorTypes) {
        if (type.id == id) {
            return &type;
        }
    }
    return nullptr;
}

const TensorType* find_tensor_type(std::string_view name) {
    for (const TensorType& type : kTensorTypes) {
        if (equals_ignoring_case(type.name, name)) {
            return &type;
        }
    }
    return nullptr;
}

std::string_view file_type_name(std::uint32_t file_type) {
    // The top bits mark a type that the converter guessed.
    const std::uint32_t number = file_type & 1023U;
    return number < kFileTypes.size() ? kFileTypes[number] : std::string_view();
}

}  // namespace drover::models
