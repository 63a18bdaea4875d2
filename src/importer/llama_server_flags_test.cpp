#include "importer/llama_server_flags.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::importer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(LlamaServerFlags, KnowsTheProgramByItsName) {
    EXPECT_TRUE(is_llama_server("llama-server"));
    EXPECT_TRUE(is_llama_server("/opt/llama-server-ec9e0301"));
    EXPECT_FALSE(is_llama_server("/opt/llama-server/docker"));
}

TEST(LlamaServerFlags, ReadsWhatDroverHasASettingFor) {
    const auto model = read_llama_server({"llama-server",
                                          "--host",
                                          "0.0.0.0",
                                          "--port=9000",
                                          "-m",
                                          "/m/a.gguf",
                                          "-t",
                                          "4",
                                          "-ctk",
                                          "q8_0",
                                          "--cache-type-v=q4_0",
                                          "-fa",
                                          "--no-repack",
                                          "--cache-ram",
                                          "512",
                                          "-ub",
                                          "256",
                                          "--jinja"});
    ASSERT_TRUE(model.has_value());
    EXPECT_EQ(model->file, "/m/a.gguf");
    EXPECT_THAT(model->settings,
                ElementsAre(Pair("threads", "4"),
                            Pair("cache_type_k", "q8_0"),
                            Pair("cache_type_v", "q4_0"),
                            Pair("flash_attention", "true"),
                            Pair("repack", "false"),
                            Pair("prompt_cache", "512MiB"),
                            Pair("batch", "256")));
    EXPECT_THAT(model->extra_args, IsEmpty());
    EXPECT_THAT(model->notes, IsEmpty());
}

TEST(LlamaServerFlags, GivesEachSlotItsPartOfTheContext) {
    EXPECT_THAT(read_llama_server({"llama-server", "-m", "a", "-c", "32768", "-np", "4"})->settings,
                ElementsAre(Pair("parallel", "4"), Pair("context", "8192")));
    EXPECT_THAT(read_llama_server({"llama-server", "-m", "a", "-c", "32768"})->settings,
                ElementsAre(Pair("context", "32768")));
}

TEST(LlamaServerFlags, PassesOnWhatItDoesNotKnowWithItsValues) {
    const auto model = read_llama_server({"llama-server",
                                          "-m",
                                          "a",
                                          "--temp",
                                          "-1",
                                          "--mlock",
                                          "--lora-scaled",
                                          "b",
                                          "0.5",
                                          "--mmproj=p"});
    EXPECT_THAT(model->extra_args,
                ElementsAre("--temp", "-1", "--mlock", "--lora-scaled", "b", "0.5", "--mmproj=p"));
}

TEST(LlamaServerFlags, LeavesLayersOnGpusToThePlacement) {
    const auto settings = [](const char* flag, const char* value) {
        return read_llama_server({"l", "-m", "a", flag, value})->settings;
    };
    EXPECT_THAT(settings("-ngl", "20"), ElementsAre(Pair("gpu_layers", "20")));
    EXPECT_THAT(settings("--gpu-layers", "99"), ElementsAre(Pair("gpu_layers", "all")));
    EXPECT_THAT(settings("--n-gpu-layers", "all"), ElementsAre(Pair("gpu_layers", "all")));
    EXPECT_THAT(settings("-ngl", "0"), ElementsAre(Pair("device", "host")));
    EXPECT_THAT(settings("-ngl", "auto"), IsEmpty());
    EXPECT_THAT(settings("-ngl", "-1"), IsEmpty());
    EXPECT_THAT(read_llama_server({"l", "-m", "a", "-ngl", "20"})->extra_args, IsEmpty());
}

TEST(LlamaServerFlags, ReadsFlashAttentionInAllItsSpellings) {
    EXPECT_THAT(read_llama_server({"l", "-m", "a", "-fa", "off"})->settings,
                ElementsAre(Pair("flash_attention", "false")));
    EXPECT_THAT(read_llama_server({"l", "-m", "a", "--flash-attn=auto"})->settings, IsEmpty());
    EXPECT_THAT(read_llama_server({"l", "-fa", "-m", "a"})->settings,
                ElementsAre(Pair("flash_attention", "true")));
}

TEST(LlamaServerFlags, SaysWhatHasNoCounterpart) {
    EXPECT_THAT(read_llama_server({"l", "-m", "a", "-c", "0"})->notes,
                ElementsAre(testing::HasSubstr("--ctx-size 0")));
    EXPECT_THAT(read_llama_server({"l", "-m", "a", "--cache-ram", "-1"})->notes,
                ElementsAre(testing::HasSubstr("without a limit")));
    EXPECT_THAT(read_llama_server({"l", "-m", "a", "--api-key", "x"})->notes,
                ElementsAre(testing::HasSubstr("--api-key")));
}

TEST(LlamaServerFlags, LeavesModelsThatAreNoFileAlone) {
    EXPECT_FALSE(read_llama_server({"llama-server", "-hf", "org/model"}).has_value());
    EXPECT_FALSE(read_llama_server({"llama-server", "--port", "1"}).has_value());
    EXPECT_FALSE(read_llama_server({"llama-server", "-m"}).has_value());
}

}  // namespace
}  // namespace drover::importer
