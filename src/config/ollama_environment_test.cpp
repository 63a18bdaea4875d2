#include "config/ollama_environment.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.hpp"

namespace drover::config {
namespace {

using testing::Contains;
using testing::HasSubstr;

Loaded loaded(std::map<std::string, std::string> environment) {
    Sources sources;
    sources.environment = [&](const std::string& name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        return found == environment.end() ? std::nullopt : std::optional(found->second);
    };
    return load(sources);
}

TEST(OllamaEnvironment, HostIsWhereTheServerListens) {
    const std::map<std::string, std::pair<std::string, int>> hosts{
        {"0.0.0.0", {"0.0.0.0", 11434}},
        {":5000", {"127.0.0.1", 5000}},
        {"127.0.0.1:5000", {"127.0.0.1", 5000}},
        {"http://127.0.0.1:5000/", {"127.0.0.1", 5000}},
        {"https://0.0.0.0", {"0.0.0.0", 443}},
        {"[::1]", {"::1", 11434}},
        {"[::1]:5000", {"::1", 5000}},
        {"::1", {"::1", 11434}},
    };
    for (const auto& [text, expected] : hosts) {
        const Loaded result = loaded({{"OLLAMA_HOST", text}});
        EXPECT_TRUE(result.problems.empty()) << text << " " << result.problems.front().to_string();
        EXPECT_EQ(result.config.listen_host, expected.first) << text;
        EXPECT_EQ(result.config.listen_port, expected.second) << text;
        EXPECT_THAT(result.notes, Contains(HasSubstr("OLLAMA_HOST"))) << text;
    }
}

TEST(OllamaEnvironment, YieldsToOurOwn) {
    const Loaded result = loaded({{"OLLAMA_HOST", "0.0.0.0:1"},
                                  {"DROVER_LISTEN", "127.0.0.1:2"},
                                  {"OLLAMA_KEEP_ALIVE", "1h"},
                                  {"DROVER_KEEP_ALIVE", "2h"}});
    EXPECT_EQ(result.config.listen_port, 2);
    EXPECT_EQ(result.config.defaults.keep_alive, std::chrono::hours(2));
}

TEST(OllamaEnvironment, SetsWhatBothHave) {
    const Loaded result = loaded({{"OLLAMA_KEEP_ALIVE", "-1"},
                                  {"OLLAMA_CONTEXT_LENGTH", "8192"},
                                  {"OLLAMA_NUM_PARALLEL", "0"},
                                  {"OLLAMA_MAX_QUEUE", "7"},
                                  {"OLLAMA_KV_CACHE_TYPE", "q8_0"},
                                  {"OLLAMA_FLASH_ATTENTION", "1"},
                                  {"OLLAMA_ORIGINS", "http://a.example, app://*"},
                                  {"OLLAMA_LOAD_TIMEOUT", ""},
                                  {"OLLAMA_MAX_LOADED_MODELS", "3"},
                                  {"OLLAMA_GPU_OVERHEAD", "1000"}});
    EXPECT_TRUE(result.problems.empty());
    const ModelSettings& defaults = result.config.defaults;
    EXPECT_LT(defaults.keep_alive->count(), 0);
    EXPECT_EQ(defaults.context, 8192U);
    EXPECT_FALSE(defaults.parallel.has_value());
    EXPECT_EQ(defaults.queue, 7U);
    EXPECT_EQ(defaults.cache_type_k, "q8_0");
    EXPECT_EQ(defaults.cache_type_v, "q8_0");
    EXPECT_EQ(defaults.flash_attention, true);
    EXPECT_THAT(result.config.origins, testing::ElementsAre("http://a.example", "app://*"));
    EXPECT_EQ(result.config.memory.max_models, 3U);
    EXPECT_THAT(result.notes, Contains(HasSubstr("OLLAMA_GPU_OVERHEAD is not honoured")));
}

TEST(OllamaEnvironment, ReportsWhatCannotBeRead) {
    const Loaded result = loaded({{"OLLAMA_CONTEXT_LENGTH", "many"}});
    ASSERT_EQ(result.problems.size(), 1U);
    EXPECT_EQ(result.problems.front().where, "environment OLLAMA_CONTEXT_LENGTH");
}

}  // namespace
}  // namespace drover::config
