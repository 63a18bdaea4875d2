#include "importer/llama_swap.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::importer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Imported imported(const std::string& text) {
    auto result = import_llama_swap(text, [](const std::string& name) {
        return name == "HOME" ? std::optional<std::string>("/home/me") : std::nullopt;
    });
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return result.ok() ? std::move(*result) : Imported();
}

/// "3 models.a.filters has no counterpart".
std::vector<std::string> notes(const Imported& result) {
    std::vector<std::string> texts;
    for (const Note& note : result.notes) {
        texts.push_back(std::to_string(note.line) + " " + note.path + " " + note.message);
    }
    return texts;
}

TEST(LlamaSwap, MakesLlamaServerModelsNative) {
    const Imported result = imported(
        "healthCheckTimeout: 90\n"
        "logLevel: warn\n"
        "macros:\n"
        "  models: ${env.HOME}/models\n"
        "  server: >\n"
        "    /opt/llama-server --port ${PORT} -ngl 99\n"
        "  ctx: 4096\n"
        "models:\n"
        "  qwen:\n"
        "    macros: {ctx: 16384}\n"
        "    cmd: |\n"
        "      # ${server} is the good one\n"
        "      ${server}\n"
        "      --model ${models}/qwen.gguf \\\n"
        "      -c ${ctx}\n"
        "    aliases: [gpt-4o]\n"
        "    ttl: 60\n"
        "    env: [\"CUDA_VISIBLE_DEVICES=0\"]\n");
    EXPECT_THAT(notes(result), IsEmpty());
    EXPECT_EQ(result.yaml,
              "log:\n"
              "  level: warn\n"
              "engine:\n"
              "  llama_server: /opt/llama-server\n"
              "  load_timeout: 90s\n"
              "defaults:\n"
              "  keep_alive: -1\n"
              "models:\n"
              "  qwen:\n"
              "    file: /home/me/models/qwen.gguf\n"
              "    gpu_layers: all\n"
              "    context: 16384\n"
              "    aliases: [gpt-4o]\n"
              "    environment:\n"
              "      CUDA_VISIBLE_DEVICES: 0\n"
              "    keep_alive: 60s\n");
}

TEST(LlamaSwap, RunsEverythingElseAsACommand) {
    const Imported result = imported(
        "models:\n"
        "  docker one:\n"
        "    cmd: >-\n"
        "      docker run --name ${MODEL_ID} --rm -p ${PORT}:8080 image '{\"a\": 1}'\n"
        "    checkEndpoint: ready\n"
        "    cmdStop: docker stop ${MODEL_ID}\n"
        "    useModelName: org/model\n"
        "    concurrencyLimit: 3\n"
        "  other:\n"
        "    cmd: llama-server -hf org/model --port 8999\n"
        "    cmdStop: kill ${PID}\n"
        "    proxy: http://127.0.0.1:8999\n");
    EXPECT_THAT(result.yaml,
                HasSubstr("  docker-one:\n"
                          "    engine: command\n"
                          "    command: [docker, run, --name, docker, one, --rm, -p, "
                          "\"{port}:8080\", image, \"{\\\"a\\\": 1}\"]\n"
                          "    health: /ready\n"
                          "    stop_command: [docker, stop, docker, one]\n"
                          "    served_name: org/model\n"
                          "    parallel: 3\n"));
    EXPECT_THAT(result.yaml,
                HasSubstr("  other:\n"
                          "    engine: command\n"
                          "    command: [llama-server, -hf, org/model, --port, \"{port}\"]\n"
                          "    parallel: 10\n"));
    EXPECT_THAT(notes(result),
                ElementsAre(HasSubstr("2 models.docker one is called docker-one"),
                            HasSubstr("3 models.docker one.cmd runs as `engine: command`"),
                            HasSubstr("10 models.other.cmd runs as `engine: command`"),
                            HasSubstr("11 models.other.cmdStop is left out")));
}

TEST(LlamaSwap, KeepsAPortThatTheCommandDoesNotName) {
    const Imported result = imported(
        "models:\n"
        "  a: {cmd: server, proxy: 'http://localhost:9000'}\n"
        "  b: {cmd: server}\n"
        "  c: {cmd: 'server ${PORT}', proxy: 'http://other:${PORT}/base'}\n");
    EXPECT_THAT(result.yaml, HasSubstr("command: [server]\n    port: 9000\n"));
    EXPECT_THAT(notes(result),
                testing::IsSupersetOf({HasSubstr("3 models.b.cmd names no port"),
                                       HasSubstr("4 models.c.proxy must lead to a port")}));
}

TEST(LlamaSwap, UsesTheFirstLlamaServerForAllAndRunsOthersAsCommands) {
    const Imported result = imported(
        "models:\n"
        "  a: {cmd: '/new/llama-server -m /a.gguf --port ${PORT}'}\n"
        "  b: {cmd: '/old/llama-server -m /b.gguf --port ${PORT}'}\n");
    EXPECT_THAT(result.yaml, HasSubstr("llama_server: /new/llama-server"));
    EXPECT_THAT(result.yaml, HasSubstr("  a:\n    file: /a.gguf\n"));
    EXPECT_THAT(result.yaml, HasSubstr("  b:\n    engine: command\n"));
}

TEST(LlamaSwap, TakesOverWhatItSaysOfPrioritiesPinsAndPreloading) {
    const Imported result = imported(
        "models:\n"
        "  a: {cmd: 'llama-server -m /a.gguf'}\n"
        "hooks: {on_startup: {preload: [a]}}\n"
        "routing:\n"
        "  router:\n"
        "    settings:\n"
        "      groups:\n"
        "        ever: {persistent: true, swap: false, members: [a]}\n"
        "        rest: {members: [a]}\n"
        "      matrix: {sets: {x: a}}\n"
        "  scheduler: {settings: {fifo: {priority: {a: 10}}}}\n");
    EXPECT_THAT(result.yaml, HasSubstr("    priority: 10\n    pin: true\n    preload: true\n"));
    EXPECT_THAT(notes(result),
                ElementsAre(HasSubstr("9 routing.router.settings.groups.rest is not needed"),
                            HasSubstr("10 routing.router.settings.matrix is not needed")));
}

TEST(LlamaSwap, MakesPeersRemoteModels) {
    const Imported result = imported(
        "models: {}\n"
        "peers:\n"
        "  far:\n"
        "    proxy: https://far/api/\n"
        "    apiKey: ${env.FAR_KEY}\n"
        "    models: [org/x]\n"
        "    filters: {stripParams: top_k}\n");
    EXPECT_THAT(result.yaml,
                HasSubstr("  far/org/x:\n"
                          "    engine: remote\n"
                          "    url: https://far/api/v1\n"
                          "    served_name: org/x\n"
                          "    key_env: FAR_KEY\n"));
    EXPECT_THAT(notes(result), ElementsAre(HasSubstr("7 peers.far.filters")));
}

TEST(LlamaSwap, TellsWithItsLineWhatHasNoCounterpart) {
    const Imported result = imported(
        "apiKeys: [secret]\n"
        "peers:\n"
        "  far: {proxy: 'https://far', models: [x], apiKey: secret}\n"
        "startPort: 9000\n"
        "spelling: wrong\n"
        "models:\n"
        "  a:\n"
        "    cmd: llama-server -m /a.gguf ${unknown} --port ${PORT}\n"
        "    cmdStop: docker stop a\n"
        "    unlisted: true\n"
        "    filters: {stripParams: temperature}\n"
        "    colour: red\n"
        "    concurrencyLimit: 2\n"
        "  broken:\n"
        "    cmd: server 'x\n"
        "  empty: {}\n");
    EXPECT_THAT(notes(result),
                ElementsAre(HasSubstr("1 apiKeys"),
                            HasSubstr("3 peers.far.apiKey"),
                            HasSubstr("4 startPort"),
                            HasSubstr("5 spelling is not known"),
                            HasSubstr("8 models.a.cmd nothing is known of ${unknown}"),
                            HasSubstr("9 models.a.cmdStop"),
                            HasSubstr("10 models.a.unlisted"),
                            HasSubstr("11 models.a.filters"),
                            HasSubstr("12 models.a.colour is not known"),
                            HasSubstr("13 models.a.concurrencyLimit"),
                            HasSubstr("15 models.broken.cmd a ' is not closed"),
                            HasSubstr("16 models.empty.cmd is empty")));
    EXPECT_THAT(result.yaml, Not(HasSubstr("secret")));
}

TEST(LlamaSwap, LeavesMacrosThatBlowUp) {
    std::string text = "macros:\n  m0: xxxxxxxxxxxxxxxx\n";
    for (int i = 1; i < 30; ++i) {
        const std::string before = "${m" + std::to_string(i - 1) + "}";
        text += "  m" + std::to_string(i) + ": \"" + before + before + "\"\n";
    }
    const Imported result = imported(text + "models:\n  a: {cmd: 'x ${m29}'}\n");
    EXPECT_LT(result.yaml.size(), 2UL << 20);
}

TEST(LlamaSwap, RefusesWhatIsNoSuchFile) {
    const auto none = [](const std::string&) {
        return std::optional<std::string>();
    };
    EXPECT_THAT(import_llama_swap("models: [a", none).error().message, HasSubstr("line "));
    EXPECT_THAT(import_llama_swap("listen: 1", none).error().message, HasSubstr("no `models`"));
    EXPECT_THAT(import_llama_swap("", none).error().message, HasSubstr("no `models`"));
}

}  // namespace
}  // namespace drover::importer
