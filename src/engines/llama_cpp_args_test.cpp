#include "engines/llama_cpp_args.hpp"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::engines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;

LlamaCppLaunch launch() {
    return {"/opt/llama-server", "/run/drover/1.sock", "/models/a.gguf", "a", {}};
}

std::vector<std::string> argv(const LlamaCppLaunch& where,
                              const ResolvedSettings& settings,
                              const models::ModelFacts& facts = {}) {
    auto plan = plan_llama_cpp(where, settings, facts, {});
    EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
    return std::move(plan).value().argv;
}

/// The argument after `name`, or "(none)".
std::string value_of(const std::vector<std::string>& args, const std::string& name) {
    const auto found = std::find(args.begin(), args.end(), name);
    return found == args.end() || found + 1 == args.end() ? "(none)" : *(found + 1);
}

TEST(LlamaCppArgs, BoundsEverythingThatCouldGrow) {
    ResolvedSettings settings;
    settings.context = 1000;
    settings.parallel = 3;
    settings.prompt_cache = 100_MiB;
    const auto args = argv(launch(), settings);
    EXPECT_EQ(args.front(), "/opt/llama-server");
    EXPECT_EQ(value_of(args, "--model"), "/models/a.gguf");
    EXPECT_EQ(value_of(args, "--ctx-size"), "3000");
    EXPECT_EQ(value_of(args, "--parallel"), "3");
    EXPECT_EQ(value_of(args, "--cache-ram"), "100");
    EXPECT_EQ(value_of(args, "--ctx-checkpoints"), "0");
    EXPECT_EQ(value_of(args, "--fit"), "off");
    EXPECT_EQ(value_of(args, "--threads-http"), "5");
    EXPECT_EQ(value_of(args, "--load-mode"), "mmap");
    EXPECT_THAT(args, Contains("--no-kv-unified"));
    EXPECT_THAT(args, Contains("--no-warmup"));
}

TEST(LlamaCppArgs, LeavesToTheEngineWhatIsNotSet) {
    const auto args = argv(launch(), {});
    EXPECT_EQ(value_of(args, "--flash-attn"), "(none)");
    EXPECT_EQ(value_of(args, "--threads"), "(none)");
    EXPECT_THAT(args, Not(Contains("--no-repack")));
}

TEST(LlamaCppArgs, LetsItSleepWhenItIsTold) {
    LlamaCppLaunch sleepy = launch();
    sleepy.preload = "/opt/lib/libdrover-preload.3.so";
    sleepy.sleeps = true;
    sleepy.sleep_dir = "/var/cache/asleep";
    const auto plan = plan_llama_cpp(sleepy, {}, {}, {});
    ASSERT_TRUE(plan.ok());
    EXPECT_THAT(plan->sleeps, ElementsAre(SleepWay::llama_cpp));
    EXPECT_EQ(value_of(plan->argv, "--sleep-idle-seconds"), "2000000");
    EXPECT_THAT(plan->environment,
                IsSupersetOf({"LD_PRELOAD=/opt/lib/libdrover-preload.3.so",
                              "DROVER_SLEEP_DIRECTORY=/var/cache/asleep"}));
    const auto sleepless = plan_llama_cpp(launch(), {}, {}, {});
    ASSERT_TRUE(sleepless.ok());
    EXPECT_TRUE(sleepless->sleeps.empty());
    EXPECT_EQ(value_of(sleepless->argv, "--sleep-idle-seconds"), "(none)");
}

TEST(LlamaCppArgs, LetsItShareTheProcessors) {
    LlamaCppLaunch sharing = launch();
    sharing.preload = "/opt/lib/libdrover-preload.3.so";
    sharing.shares_processors = true;
    const auto plan = plan_llama_cpp(sharing, {}, {}, {});
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(value_of(plan->argv, "--poll"), "0");
    EXPECT_THAT(
        plan->environment,
        Contains("DROVER_COMPUTE_LOCKS=" + (sharing.socket.parent_path() / "computing").string()));
    sharing.shares_processors = false;
    EXPECT_THAT(plan_llama_cpp(sharing, {}, {}, {})->environment,
                Not(Contains(StartsWith("DROVER_COMPUTE_LOCKS"))));
}

TEST(LlamaCppArgs, PutsExtraArgumentsLastSoThatTheyWin) {
    ResolvedSettings settings;
    settings.repack = false;
    settings.flash_attention = false;
    settings.threads = 4;
    settings.extra_args = {"--batch-size", "64"};
    const auto args = argv(launch(), settings);
    EXPECT_THAT(args, Contains("--no-repack"));
    EXPECT_EQ(value_of(args, "--flash-attn"), "off");
    EXPECT_EQ(value_of(args, "--threads"), "4");
    EXPECT_EQ(args[args.size() - 2], "--batch-size");
    EXPECT_EQ(args.back(), "64");
}

TEST(LlamaCppArgs, ChoosesTheModeByTask) {
    ResolvedSettings settings;
    EXPECT_THAT(argv(launch(), settings), Contains("--jinja"));
    settings.task = config::Task::embedding;
    EXPECT_THAT(argv(launch(), settings), Contains("--embedding"));
    EXPECT_EQ(value_of(argv(launch(), settings), "--pooling"), "last");
    models::ModelFacts named;
    named.pooling_named = true;
    EXPECT_EQ(value_of(argv(launch(), settings, named), "--pooling"), "(none)");
    settings.task = config::Task::rerank;
    EXPECT_THAT(argv(launch(), settings), Contains("--rerank"));
}

TEST(LlamaCppArgs, RefusesSocketsThatTheEngineWouldMisread) {
    auto where = launch();
    where.socket = "/run/" + std::string(100, 'x') + ".sock";
    const auto plan = plan_llama_cpp(where, {}, {}, {});
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(plan.error().message, HasSubstr("107"));
    for (const char* bad : {"/run/a.socket", "a.sock", "/run/a,b.sock", "/run/a b.sock"}) {
        where.socket = bad;
        EXPECT_FALSE(plan_llama_cpp(where, {}, {}, {}).ok()) << bad;
    }
}

TEST(LlamaCppArgs, SayNothingOfDevicesWhenThereAreNone) {
    const auto args = argv(launch(), {});
    for (const char* name : {"--device", "--n-gpu-layers", "--split-mode", "--tensor-split"}) {
        EXPECT_EQ(value_of(args, name), "(none)");
    }
}

TEST(LlamaCppArgs, NameOneGpuOrThePartsOfSeveral) {
    auto where = launch();
    where.devices = EngineDevices{.gpus = {{.uuid = "GPU-a", .layers = 33}}};
    const auto one = argv(where, {});
    EXPECT_EQ(value_of(one, "--device"), "CUDA0");
    EXPECT_EQ(value_of(one, "--n-gpu-layers"), "all");
    EXPECT_EQ(value_of(one, "--split-mode"), "none");
    EXPECT_EQ(value_of(one, "--main-gpu"), "0");
    EXPECT_EQ(value_of(one, "--tensor-split"), "(none)");
    where.devices = EngineDevices{
        .gpus = {{.uuid = "GPU-b", .layers = 12}, {.uuid = "GPU-a", .layers = 8}}, .whole = false};
    const auto two = argv(where, {});
    EXPECT_EQ(value_of(two, "--device"), "CUDA0,CUDA1");
    EXPECT_EQ(value_of(two, "--n-gpu-layers"), "20");
    EXPECT_EQ(value_of(two, "--split-mode"), "layer");
    EXPECT_EQ(value_of(two, "--tensor-split"), "12,8");
}

TEST(LlamaCppArgs, ShowTheEngineNoOtherGpus) {
    auto where = launch();
    where.parent_environment = {"CUDA_VISIBLE_DEVICES=0"};
    where.devices = EngineDevices{.gpus = {{.uuid = "GPU-b"}, {.uuid = "GPU-a"}}};
    EXPECT_THAT(
        plan_llama_cpp(where, {}, {}, {}).value().environment,
        ElementsAre(
            "MALLOC_ARENA_MAX=2", "GGML_NO_BACKTRACE=1", "CUDA_VISIBLE_DEVICES=GPU-b,GPU-a"));
    where.devices = EngineDevices();
    EXPECT_EQ(value_of(argv(where, {}), "--device"), "none");
    EXPECT_EQ(plan_llama_cpp(where, {}, {}, {}).value().environment.back(),
              "CUDA_VISIBLE_DEVICES=");
}

TEST(LlamaCppArgs, PassesOnlyAHarmlessEnvironment) {
    auto where = launch();
    where.parent_environment = {"PATH=/bin",
                                "CUDA_VISIBLE_DEVICES=0",
                                "OPENAI_API_KEY=secret",
                                "HF_TOKEN=secret",
                                "LLAMA_ARG_CTX_SIZE=1",
                                "PATHOLOGICAL=1"};
    const auto plan = plan_llama_cpp(where, {}, {}, {});
    EXPECT_THAT(
        plan.value().environment,
        ElementsAre(
            "PATH=/bin", "CUDA_VISIBLE_DEVICES=0", "MALLOC_ARENA_MAX=2", "GGML_NO_BACKTRACE=1"));
}

}  // namespace
}  // namespace drover::engines
