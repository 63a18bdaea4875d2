#include "models/companions.hpp"

#include <filesystem>
#include <fstream>
#include <variant>

#include <gtest/gtest.h>
#include <unistd.h>

#include "models/testing/gguf_writer.hpp"

namespace drover::models {
namespace {

using testing::GgufWriter;

gguf::Header header_of(const GgufWriter& writer) {
    const auto file = writer.file();
    return std::get<gguf::Header>(gguf::read_header(file, file.size()).value());
}

/// A tower of 32 x 32 pixels in patches of 8, 64 wide.
GgufWriter tower(std::string_view type) {
    GgufWriter writer;
    writer.text("general.architecture", "clip")
        .boolean("clip.has_vision_encoder", true)
        .text("clip.projector_type", type)
        .number("clip.vision.image_size", 32)
        .number("clip.vision.patch_size", 8)
        .number("clip.vision.embedding_length", 64)
        .number("clip.vision.feed_forward_length", 128)
        .number("clip.vision.spatial_merge_size", 2)
        .tensor("v.patch_embd.weight", 0, {8, 8, 3, 64}, 4 * 8 * 8 * 3 * 64)
        .tensor("mm.0.weight", 1, {64, 64}, 2 * 64 * 64);
    return writer;
}

TEST(Companions, AddUpTensors) {
    EXPECT_EQ(tensor_bytes(header_of(tower("mlp"))), Bytes(4 * 8 * 8 * 3 * 64 + 2 * 64 * 64));
}

TEST(Companions, ComputeOnePictureOfTheTrainedSize) {
    // 16 patches and the class; four hidden states and as much for attention, in floats.
    EXPECT_EQ(projector_buffers(header_of(tower("mlp"))), Bytes(17 * 64 * 8 * 4));
}

TEST(Companions, ComputeLargePicturesWhereAnySizeIsTaken) {
    EXPECT_EQ(projector_buffers(header_of(tower("qwen2vl_merger"))),
              Bytes(4096LL * 4 * 64 * 8 * 4));
}

TEST(Companions, ComputeHalfAMinuteOfSound) {
    GgufWriter writer;
    writer.text("general.architecture", "clip")
        .boolean("clip.has_audio_encoder", true)
        .number("clip.audio.embedding_length", 32)
        .number("clip.audio.feed_forward_length", 128)
        .tensor("a.conv1d.1.weight", 0, {32}, 128);
    EXPECT_EQ(projector_buffers(header_of(writer)), Bytes(1500 * (32 * 4 + 256) * 4));
}

TEST(Companions, StayWithinBoundsWhateverAHeaderSays) {
    GgufWriter writer;
    writer.boolean("clip.has_vision_encoder", true)
        .number("clip.vision.image_size", 0xFFFFFFFF)
        .number("clip.vision.embedding_length", 0xFFFFFFFF)
        .number("clip.vision.feed_forward_length", 0xFFFFFFFF)
        .tensor("t", 0, {1}, 4);
    EXPECT_GT(projector_buffers(header_of(writer)), Bytes(0));
}

TEST(Companions, CountAFileThatIsNoGgufWhole) {
    const auto file = std::filesystem::temp_directory_path() /
                      ("drover-companions-" + std::to_string(::getpid()));
    std::ofstream(file) << "no GGUF";
    const Companions beside = read_companions({file, file}, file);
    std::filesystem::remove(file);
    EXPECT_EQ(beside.adapters, Bytes(14));
    EXPECT_EQ(beside.projector, Bytes(7));
    EXPECT_EQ(beside.projector_buffers, Bytes(0));
}

}  // namespace
}  // namespace drover::models
