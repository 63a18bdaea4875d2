#include "config/load_engine.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

namespace drover::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Read {
    ModelEntry entry;
    std::vector<std::string> problems;
};

Read read(EngineKind engine, const std::string& yaml) {
    Read read;
    read.entry.engine = engine;
    read_engine(
        YAML::Load(yaml),
        "models.m",
        [&read](const YAML::Node&, const std::string& path, const std::string& what) {
            read.problems.push_back(path + " " + what);
        },
        read.entry);
    return read;
}

TEST(LoadEngine, ReadsACommand) {
    const Read result = read(EngineKind::command,
                             "command: server --socket {socket} 'a b'\n"
                             "health: /ready\n"
                             "memory: 3GiB\n"
                             "environment: {A: 1, B: 'x=y'}\n"
                             "served_name: org/m\n");
    EXPECT_THAT(result.problems, IsEmpty());
    EXPECT_THAT(result.entry.child.command, ElementsAre("server", "--socket", "{socket}", "a b"));
    EXPECT_EQ(result.entry.child.health, "/ready");
    EXPECT_EQ(result.entry.child.memory, 3_GiB);
    EXPECT_THAT(result.entry.child.environment, ElementsAre("A=1", "B=x=y"));
    EXPECT_EQ(result.entry.served_name, "org/m");
}

TEST(LoadEngine, TakesACommandWordByWord) {
    const Read result = read(EngineKind::command, "command: [server, 'a b', 8080]");
    EXPECT_THAT(result.entry.child.command, ElementsAre("server", "a b", "8080"));
}

TEST(LoadEngine, SaysWhoseAKeyIs) {
    EXPECT_THAT(read(EngineKind::llama_cpp, "memory: 3GiB").problems,
                ElementsAre("models.m.memory belongs to engine: command, vllm, and this model's is "
                            "llama_cpp"));
}

TEST(LoadEngine, ReportsWhatCannotBeRead) {
    EXPECT_THAT(read(EngineKind::command,
                     "command: \"server 'x\"\n"
                     "health: ready\n"
                     "memory: much\n"
                     "environment: [A]\n")
                    .problems,
                ElementsAre(testing::StartsWith("models.m.command a ' is not closed"),
                            testing::StartsWith("models.m.health must begin with /"),
                            testing::StartsWith("models.m.memory 'much'"),
                            testing::StartsWith("models.m.environment must be a mapping"),
                            testing::StartsWith("models.m.command is missing")));
    EXPECT_THAT(read(EngineKind::command, "command: [a, [b]]").problems,
                testing::Contains("models.m.command must be a text or a list of words"));
    EXPECT_THAT(read(EngineKind::command, "command: a\nenvironment: {'A B': 1}").problems,
                ElementsAre("models.m.environment must be a mapping from names to single values"));
}

TEST(LoadEngine, ReadsARemote) {
    const Read result = read(EngineKind::remote,
                             "url: [http://a:1, https://b/v1]\n"
                             "served_name: org/m\n"
                             "key_env: KEY\n"
                             "connect_timeout: 2s\n"
                             "failures: 3\n");
    EXPECT_THAT(result.problems, IsEmpty());
    EXPECT_THAT(result.entry.remote.urls, ElementsAre("http://a:1", "https://b/v1"));
    EXPECT_EQ(result.entry.served_name, "org/m");
    EXPECT_EQ(result.entry.remote.key_env, "KEY");
    EXPECT_EQ(result.entry.remote.connect_timeout, milliseconds(2'000));
    EXPECT_EQ(result.entry.remote.failures, 3U);
}

TEST(LoadEngine, SaysWhatIsWrongWithARemote) {
    const Read result = read(EngineKind::remote,
                             "key_env: KEY\nkey_file: key\nidle_timeout: 0\nfailures: none\n"
                             "command: server\n");
    EXPECT_THAT(result.problems,
                ElementsAre(testing::HasSubstr("models.m.command belongs to engine: command, vllm"),
                            testing::HasSubstr("models.m.url is missing"),
                            testing::HasSubstr("models.m.key_file is given beside key_env"),
                            testing::HasSubstr("models.m.idle_timeout '0' is not a positive"),
                            testing::HasSubstr("models.m.failures 'none' is not a whole number")));
}

}  // namespace
}  // namespace drover::config
