#include "config/passed_on.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(PassedOn, WhatIsASettingIsRefusedInAllItsSpellings) {
    for (const auto& [words, setting] :
         std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"--ctx-size", "65536"}, "context"},
             {{"--ctx-size=65536"}, "context"},
             {{"--ctx_size=65536"}, "context"},
             {{"-c", "65536"}, "context"},
             {{"-np", "8"}, "parallel"},
             {{"--ubatch-size", "2048"}, "batch"},
             {{"-ctk", "f32"}, "cache_type_k"},
             {{"--cache-type-v=q8_0"}, "cache_type_v"},
             {{"--cache-ram", "-1"}, "prompt_cache"},
             {{"--no-repack"}, "repack"},
             {{"-ngl", "99"}, "gpu_layers"}}) {
        const Status checked = check_passed_on(words);
        ASSERT_FALSE(checked.ok()) << words.front();
        EXPECT_THAT(checked.error().message, HasSubstr("'" + setting + "'"));
    }
}

TEST(PassedOn, AllThatIsWrongIsNamedAtOnce) {
    const Status checked = check_passed_on({"--temp", "0", "-c", "1", "--parallel", "2"});
    EXPECT_THAT(checked.error().message, HasSubstr("-c is the setting 'context'"));
    EXPECT_THAT(checked.error().message, HasSubstr("--parallel is the setting 'parallel'"));
}

TEST(PassedOn, WhatNobodyCountsIsTold) {
    EXPECT_THAT(uncounted({"--swa-full", "--lora=x.gguf", "--no-mmap", "--temp", "0"}),
                ElementsAre("--swa-full", "--lora", "--no-mmap"));
}

TEST(PassedOn, TheRestIsThePassersBusiness) {
    const std::vector<std::string> words{
        "--no-context-shift", "--model-draft", "d.gguf", "--no-kv-unified", "--spec-type", "x"};
    EXPECT_TRUE(check_passed_on(words).ok());
    EXPECT_THAT(uncounted(words), IsEmpty());
}

}  // namespace
}  // namespace drover::config
