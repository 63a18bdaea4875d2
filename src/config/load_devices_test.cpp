// GPUs in the configuration: budgets, and where models may lie.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "config/parsers.hpp"
#include "support/temp_dir.hpp"

namespace drover::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DevicesConfigTest : public ::testing::Test {
  protected:
    Loaded load(const std::string& text, std::optional<std::string> gpus = std::nullopt) {
        const auto file = directory_ / "drover.yaml";
        std::ofstream(file) << text;
        Sources sources;
        sources.file = file;
        sources.environment = [gpus](const std::string& name) {
            return name == "DROVER_GPUS" ? gpus : std::nullopt;
        };
        return config::load(sources);
    }

  private:
    testing::TempDir directory_;
};

TEST_F(DevicesConfigTest, BudgetsAreGivenByNumberOrUuid) {
    const Loaded loaded =
        load("memory:\n  gpus: {0: 20GiB, GPU-5d1b: auto, 2: 0}\n  gpu_reserve: 1GiB\n");
    ASSERT_THAT(loaded.problems, IsEmpty());
    const MemoryConfig& memory = loaded.config.memory;
    ASSERT_THAT(memory.gpus, SizeIs(3));
    EXPECT_EQ(memory.gpus[0].gpu, "0");
    EXPECT_EQ(memory.gpus[0].bytes, 20_GiB);
    EXPECT_EQ(memory.gpus[1].gpu, "GPU-5d1b");
    EXPECT_EQ(memory.gpus[1].bytes, std::nullopt);
    EXPECT_EQ(memory.gpus[2].bytes, Bytes(0));
    EXPECT_EQ(memory.gpu_reserve, 1_GiB);
}

TEST_F(DevicesConfigTest, TheEnvironmentReplacesTheBudgetsThatItNames) {
    const Loaded loaded = load("memory: {gpus: {0: 20GiB, 1: 10GiB}}\n", "1=4GiB,2=auto");
    ASSERT_THAT(loaded.problems, IsEmpty());
    ASSERT_THAT(loaded.config.memory.gpus, SizeIs(3));
    EXPECT_EQ(loaded.config.memory.gpus[1].gpu, "1");
    EXPECT_EQ(loaded.config.memory.gpus[1].bytes, 4_GiB);
    EXPECT_FALSE(load("memory: {gpus: {0: 20GiB}}\n", "none").config.memory.use_gpus);
    EXPECT_THAT(load("memory: {gpus: {0: 20GiB}}\n", "auto").config.memory.gpus, IsEmpty());
}

TEST_F(DevicesConfigTest, AMistakeIsToldWithItsLineAndWhatWouldBeRight) {
    const Loaded loaded = load(
        "memory:\n"
        "  gpus:\n"
        "    0: much\n"
        "    left: 4GiB\n"
        "defaults:\n"
        "  device: [0, gpu1]\n"
        "  gpu_layers: some\n");
    ASSERT_THAT(loaded.problems, SizeIs(4));
    EXPECT_THAT(loaded.problems[0].to_string(), HasSubstr("drover.yaml:3: memory.gpus.0 GPU 0: "));
    EXPECT_THAT(loaded.problems[0].message, HasSubstr("or auto"));
    EXPECT_THAT(loaded.problems[1].to_string(), HasSubstr("drover.yaml:4: memory.gpus.left"));
    EXPECT_THAT(loaded.problems[1].message, HasSubstr("nvidia-smi -L"));
    EXPECT_THAT(loaded.problems[2].to_string(), HasSubstr("drover.yaml:6: defaults.device 'gpu1'"));
    EXPECT_THAT(loaded.problems[3].to_string(), HasSubstr("drover.yaml:7: defaults.gpu_layers"));
}

TEST_F(DevicesConfigTest, AModelsDeviceIsOneOrSeveral) {
    const Loaded loaded = load("defaults: {device: [0, GPU-5d1b], gpu_layers: 20}\n");
    ASSERT_THAT(loaded.problems, IsEmpty());
    EXPECT_THAT(loaded.config.defaults.device->gpus, ElementsAre("0", "GPU-5d1b"));
    EXPECT_EQ(loaded.config.defaults.gpu_layers->number, 20U);
    EXPECT_TRUE(parse_device("host")->host);
    EXPECT_EQ(*parse_device("auto"), DeviceChoice());
    EXPECT_THAT(parse_device("1")->gpus, ElementsAre("1"));
    EXPECT_TRUE(parse_gpu_layers("all")->all);
    EXPECT_EQ(*parse_gpu_layers("auto"), GpuLayers());
}

TEST(ParseSleep, KnowsVllmsLevels) {
    for (const char* text : {"true", "1"}) {
        EXPECT_EQ(*parse_sleep(text), SleepLevel::light) << text;
    }
    EXPECT_EQ(*parse_sleep("2"), SleepLevel::deep);
    EXPECT_EQ(*parse_sleep("false"), SleepLevel::never);
    EXPECT_THAT(parse_sleep("3").error().message, HasSubstr("'3' is not true, false, 1 or 2"));
}

TEST(ParseDevice, RefusesWhatNamesNoGpu) {
    for (const char* text : {"", "cpu", "-1", "0;1", "12345"}) {
        EXPECT_FALSE(parse_device(text).ok()) << text;
    }
    EXPECT_THAT(parse_device("0,0").error().message, HasSubstr("twice"));
    EXPECT_FALSE(parse_gpu_layers("-1").ok());
    EXPECT_FALSE(parse_gpu_budgets("0").ok());
}

}  // namespace
}  // namespace drover::config
