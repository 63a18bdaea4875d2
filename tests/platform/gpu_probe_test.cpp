// The probe with a library that does what a file says (tests/fake_nvml).
#include "platform/gpu_probe.hpp"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class GpuProbeTest : public ::testing::Test {
  protected:
    GpuProbeTest() { ::setenv("FAKE_NVML", (directory_ / "machine").c_str(), 1); }
    ~GpuProbeTest() override { ::unsetenv("FAKE_NVML"); }

    void machine(const std::string& lines) { std::ofstream(directory_ / "machine") << lines; }

    static Result<GpuProbe> open() { return GpuProbe::open(DROVER_FAKE_NVML); }

  private:
    testing::TempDir directory_;
};

TEST_F(GpuProbeTest, ReadsWhatEachGpuHasAndWhoUsesIt) {
    machine(
        "gpu GPU-a Large 81920 80000\n"
        "gpu GPU-b Small 24576 20000\n"
        "process 1 42 3000\n"
        "process 1 42 1000\n"
        "process 1 43 500\n");
    const auto probe = open();
    ASSERT_TRUE(probe.ok()) << probe.error().message;
    const auto gpus = probe->gpus();
    ASSERT_TRUE(gpus.ok());
    ASSERT_THAT(*gpus, SizeIs(2));
    EXPECT_EQ((*gpus)[0].uuid, "GPU-a");
    EXPECT_EQ((*gpus)[0].name, "Large");
    EXPECT_EQ((*gpus)[0].total, 80_GiB);
    EXPECT_EQ((*gpus)[1].index, 1U);
    EXPECT_EQ((*gpus)[1].free, 20000_MiB);
    EXPECT_FALSE((*gpus)[1].unified);
    EXPECT_EQ((*gpus)[1].used_by({42}), 4000_MiB);
    EXPECT_EQ((*gpus)[1].used_by({43, 44}), 500_MiB);
    EXPECT_EQ((*gpus)[0].used_by({42}), Bytes(0));
}

TEST_F(GpuProbeTest, LeavesOutOneThatIsLostAndKeepsTheNumbersOfTheOthers) {
    machine("gpu GPU-a A 1024 1024\nlost\ngpu GPU-c C 1024 512\n");
    const auto gpus = open()->gpus();
    ASSERT_THAT(*gpus, SizeIs(2));
    EXPECT_EQ((*gpus)[1].uuid, "GPU-c");
    EXPECT_EQ((*gpus)[1].index, 2U);
}

TEST_F(GpuProbeTest, SeesWhatChanges) {
    machine("gpu GPU-a A 1024 1024\n");
    const auto probe = open();
    EXPECT_EQ((*probe->gpus())[0].free, 1_GiB);
    machine("gpu GPU-a A 1024 256\n");
    EXPECT_EQ((*probe->gpus())[0].free, 256_MiB);
}

TEST_F(GpuProbeTest, KnowsUnifiedMemory) {
    machine("unified GPU-a Spark\n");
    const auto gpus = open()->gpus();
    ASSERT_THAT(*gpus, SizeIs(1));
    EXPECT_TRUE((*gpus)[0].unified);
    EXPECT_EQ((*gpus)[0].total, Bytes(0));
}

TEST_F(GpuProbeTest, SaysWhenNobodyKnowsWhoUsesIt) {
    machine("gpu GPU-a A 1024 512\nprocess 0 42 100\nhidden 0\n");
    EXPECT_EQ((*open()->gpus())[0].used_by({42}), std::nullopt);
    machine("gpu GPU-a A 1024 512\nhidden 0\n");
    EXPECT_EQ((*open()->gpus())[0].used_by({42}), std::nullopt);
}

TEST_F(GpuProbeTest, AsksAgainWhenThereAreManyProcesses) {
    std::string lines = "gpu GPU-a A 1024 512\n";
    for (int pid = 1; pid <= 300; ++pid) {
        lines += "process 0 " + std::to_string(pid) + " 1\n";
    }
    machine(lines);
    EXPECT_EQ((*open()->gpus())[0].used_by({1, 300}), 2_MiB);
}

TEST_F(GpuProbeTest, TellsALibraryThatIsNotThereFromOneThatFails) {
    machine("fails init\n");
    EXPECT_EQ(open().error().code, ErrorCode::unavailable);
    EXPECT_THAT(open().error().message, HasSubstr("Unknown Error"));
    machine("fails count\n");
    EXPECT_EQ(open()->gpus().error().code, ErrorCode::unavailable);
    const auto none = GpuProbe::open("/nonexistent/libnvidia-ml.so.1");
    EXPECT_EQ(none.error().code, ErrorCode::not_found);
    const auto other = GpuProbe::open("libm.so.6");
    EXPECT_THAT(other.error().message, HasSubstr("has no nvmlInit_v2"));
}

}  // namespace
}  // namespace drover::platform
