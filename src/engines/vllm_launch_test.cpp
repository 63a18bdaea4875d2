#include "engines/vllm_launch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engines/command_launch.hpp"

namespace drover::engines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

models::HuggingFaceConfig llama() {
    models::HuggingFaceConfig config;
    config.layers = 16;
    config.kv_heads = 8;
    config.head_length = 64;
    config.context_length = 8192;
    return config;
}

ResolvedSettings settings(std::uint32_t context, std::uint32_t parallel) {
    ResolvedSettings result;
    result.context = context;
    result.parallel = parallel;
    return result;
}

TEST(VllmSize, HasRoomForSomeFullContexts) {
    // 16 layers x 8 heads x 64 x 2 x 2 bytes = 32 KiB a token.
    const VllmSize size = vllm_size(1_GiB, llama(), settings(4096, 64), std::nullopt);
    EXPECT_EQ(size.weights, 1_GiB);
    EXPECT_EQ(size.kv_cache, 512_MiB);
    EXPECT_EQ(vllm_size(1_GiB, llama(), settings(4096, 1), std::nullopt).kv_cache, 128_MiB);
}

TEST(VllmSize, GivesTheCacheWhatIsLeftOfTheDeclaredBytes) {
    const VllmSize size = vllm_size(1_GiB, llama(), settings(4096, 64), 8_GiB);
    EXPECT_EQ(size.total(), 8_GiB);
    EXPECT_EQ(vllm_size(1_GiB, llama(), settings(4096, 64), 1_GiB).kv_cache, 128_MiB);
}

TEST(VllmSize, EmbeddingModelsKeepNothing) {
    ResolvedSettings embeds = settings(512, 64);
    embeds.task = config::Task::embedding;
    EXPECT_EQ(vllm_size(1_GiB, llama(), embeds, std::nullopt).kv_cache, Bytes(0));
}

TEST(VllmSize, CountsWhatVllmTakesOfAnUnknownModel) {
    EXPECT_EQ(vllm_size(Bytes(0), {}, settings(4096, 64), std::nullopt).kv_cache, 4_GiB);
}

TEST(VllmSize, NeverTakesMoreThanDeclaredForAModelOfUnknownSize) {
    const VllmSize size = vllm_size(Bytes(0), {}, settings(4096, 64), 16_GiB);
    EXPECT_EQ(size.total(), 16_GiB);
    EXPECT_EQ(size.kv_cache.count() * 4, (size.weights + size.kv_cache).count());
    ResolvedSettings embeds = settings(512, 64);
    embeds.task = config::Task::embedding;
    EXPECT_EQ(vllm_size(Bytes(0), {}, embeds, 16_GiB).kv_cache, Bytes(0));
    EXPECT_EQ(vllm_size(Bytes(0), {}, embeds, 16_GiB).total(), 16_GiB);
    EXPECT_GE(vllm_size(Bytes(0), {}, settings(4096, 64), 1_GiB).weights, Bytes(0));
}

TEST(VllmSettings, KeepsToTheTrainedContext) {
    EXPECT_EQ(vllm_settings(settings(32768, 1), {}, llama()).context, 8192U);
    EXPECT_EQ(vllm_settings(settings(4096, 1), {}, llama()).context, 4096U);
    ResolvedSettings embeds = settings(4096, 1);
    embeds.task = config::Task::embedding;
    EXPECT_EQ(vllm_settings(embeds, {}, llama()).context, 8192U);
}

TEST(VllmCommand, ServesOnAPrivateSocketWithAKeyThatNoCommandLineShows) {
    const config::ChildSettings child = vllm_command({}, "/m/smol", 512_MiB, "/bin", std::nullopt);
    const CommandLaunch launch{.socket = "/run/e.sock",
                               .model = "smol",
                               .context = 4096,
                               .parallel = 64,
                               .threads = 2,
                               .key = Secret("s3cret")};
    const auto plan = plan_command(launch, child, {});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_THAT(plan->argv,
                ElementsAre("vllm",
                            "serve",
                            "/m/smol",
                            "--uds",
                            "/run/e.sock",
                            "--served-model-name",
                            "smol",
                            "--max-model-len",
                            "4096",
                            "--max-num-seqs",
                            "64",
                            "--kv-cache-memory-bytes",
                            "536870912"));
    EXPECT_THAT(plan->environment,
                IsSupersetOf({"VLLM_API_KEY=s3cret", "OMP_NUM_THREADS=2", "HF_HUB_OFFLINE=1"}));
    EXPECT_EQ(plan->endpoint->authorization.reveal(), "Bearer s3cret");
}

TEST(VllmCommand, TakesTheProgramOfItsEnvironment) {
    config::ChildSettings given;
    given.venv = "/venv";
    const config::ChildSettings child = vllm_command(given, "/m", Bytes(0), "/bin", std::nullopt);
    EXPECT_EQ(child.command.front(), "/venv/bin/vllm");
    EXPECT_THAT(child.environment, Contains("PATH=/venv/bin:/bin"));
    EXPECT_THAT(child.command, Contains("16777216"));
}

TEST(VllmCommand, RunsInAContainerAndPullsAReference) {
    config::ChildSettings given;
    given.command = {"docker", "run", "vllm/vllm-openai"};
    given.reference = "org/model";
    given.environment = {"OMP_NUM_THREADS=7"};
    const config::ChildSettings child =
        vllm_command(given, "org/model", Bytes(0), "/bin", std::nullopt);
    EXPECT_THAT(child.command, Contains("vllm/vllm-openai"));
    EXPECT_EQ(child.command[3], "org/model");
    EXPECT_THAT(child.environment, Contains("OMP_NUM_THREADS=7"));
    EXPECT_THAT(child.environment, Not(Contains(HasSubstr("HF_HUB_OFFLINE"))));
}

TEST(VllmCommand, IsToldItsGpusAndItsPartOfEach) {
    const EngineDevices two{
        .gpus = {{.uuid = "GPU-a", .share = 0.5}, {.uuid = "GPU-b", .share = 0.25}}};
    const config::ChildSettings child = vllm_command({}, "/m", 8_GiB, "/bin", two);
    EXPECT_THAT(child.environment, Contains("CUDA_VISIBLE_DEVICES=GPU-a,GPU-b"));
    const std::vector<std::string> last(child.command.end() - 6, child.command.end());
    EXPECT_THAT(last,
                ElementsAre("--kv-cache-memory-bytes",
                            "4294967296",
                            "--tensor-parallel-size",
                            "2",
                            "--gpu-memory-utilization",
                            "0.5000"));
}

TEST(VllmCommand, FillsItsShareOfAGpuWhenNobodySaysHowLargeItsCacheIs) {
    const EngineDevices one{.gpus = {{.uuid = "GPU-a", .share = 0.5}}};
    const config::ChildSettings child = vllm_command({}, "org/model", std::nullopt, "/bin", one);
    EXPECT_THAT(child.command, Not(Contains("--kv-cache-memory-bytes")));
    EXPECT_THAT(child.command, Contains("--gpu-memory-utilization"));
}

TEST(VllmCommand, CanBeToldToSleepOnlyWhereItMay) {
    const EngineDevices one{.gpus = {{.uuid = "GPU-a", .share = 0.5}}};
    const config::ChildSettings sleepy = vllm_command({}, "/m", 8_GiB, "/bin", one, true);
    EXPECT_THAT(sleepy.command, Contains("--enable-sleep-mode"));
    EXPECT_THAT(sleepy.command, Contains("--uds"));
    EXPECT_THAT(sleepy.environment, Contains("VLLM_SERVER_DEV_MODE=1"));
    const config::ChildSettings sleepless = vllm_command({}, "/m", 8_GiB, "/bin", one, false);
    EXPECT_THAT(sleepless.command, Not(Contains("--enable-sleep-mode")));
    EXPECT_THAT(sleepless.environment, Not(Contains(HasSubstr("DEV_MODE"))));
}

TEST(VllmCommand, SeesNoGpuWhenItsModelIsToLieOnTheHost) {
    const config::ChildSettings child = vllm_command({}, "/m", 8_GiB, "/bin", EngineDevices());
    EXPECT_THAT(child.environment, Contains("CUDA_VISIBLE_DEVICES="));
    EXPECT_THAT(child.command, Not(Contains("--tensor-parallel-size")));
}

TEST(VllmPartsMax, IsWhatDividesTheHeads) {
    EXPECT_EQ(vllm_parts_max(llama()), 8U);
    models::HuggingFaceConfig config = llama();
    config.kv_heads = 6;
    EXPECT_EQ(vllm_parts_max(config), 2U);
    config.kv_heads = 0;
    EXPECT_EQ(vllm_parts_max(config), 1U);
}

}  // namespace
}  // namespace drover::engines
