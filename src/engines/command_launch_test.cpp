#include "engines/command_launch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::engines {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

CommandLaunch launch() {
    return {.socket = "/run/e.sock",
            .port = 4711,
            .file = "/m/a.bin",
            .model = "org/a",
            .context = 8192,
            .parallel = 3,
            .threads = 2,
            .key = Secret("s3cret"),
            .extra_args = {"--last"},
            .parent_environment = {"PATH=/bin", "OPENAI_API_KEY=theirs", "HOME=/h"}};
}

config::ChildSettings child(std::vector<std::string> command) {
    config::ChildSettings settings;
    settings.command = std::move(command);
    return settings;
}

TEST(CommandLaunch, FillsInWhatStandsInBraces) {
    const auto plan = plan_command(launch(),
                                   child({"run",
                                          "-s",
                                          "unix:{socket}",
                                          "{file}",
                                          "{model}",
                                          "{context}x{parallel}",
                                          "{threads}"}),
                                   {});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_THAT(
        plan->argv,
        ElementsAre("run", "-s", "unix:/run/e.sock", "/m/a.bin", "org/a", "8192x3", "2", "--last"));
    EXPECT_FALSE(plan->endpoint.has_value());
    EXPECT_EQ(plan->socket, "/run/e.sock");
    EXPECT_TRUE(plan->guarded);
}

TEST(CommandLaunch, LeavesOtherBracesAloneAndFillsInOnce) {
    CommandLaunch tricky = launch();
    tricky.model = "{file}";
    const auto plan =
        plan_command(tricky, child({"run", "{socket}", "{\"a\": {}}", "{model}", "{"}), {});
    EXPECT_THAT(plan->argv,
                ElementsAre("run", "/run/e.sock", "{\"a\": {}}", "{file}", "{", "--last"));
}

TEST(CommandLaunch, ReachesAPortOnThisMachineOnly) {
    const auto plan = plan_command(launch(), child({"run", "--port={port}"}), {});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_THAT(plan->argv, Contains("--port=4711"));
    ASSERT_TRUE(plan->endpoint.has_value());
    EXPECT_EQ(plan->endpoint->transport, Transport::tcp);
    EXPECT_EQ(plan->endpoint->host, "127.0.0.1");
    EXPECT_EQ(plan->endpoint->port, 4711);
    EXPECT_TRUE(plan->endpoint->authorization.empty());
}

TEST(CommandLaunch, TakesAFixedPort) {
    config::ChildSettings fixed = child({"run"});
    fixed.port = 9000;
    EXPECT_EQ(plan_command(launch(), fixed, {})->endpoint->port, 9000);
    fixed.command.emplace_back("{port}");
    EXPECT_THAT(plan_command(launch(), fixed, {})->argv, Contains("9000"));
}

TEST(CommandLaunch, SendsTheKeyToAnEngineThatWasGivenIt) {
    config::ChildSettings keyed = child({"run", "{socket}"});
    keyed.environment = {"API_KEY={key}"};
    const auto plan = plan_command(launch(), keyed, {});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->endpoint->transport, Transport::unix_socket);
    EXPECT_EQ(plan->endpoint->authorization.reveal(), "Bearer s3cret");
    EXPECT_THAT(plan->environment, Contains("API_KEY=s3cret"));
    EXPECT_THAT(plan->argv, Not(Contains(HasSubstr("s3cret"))));
}

TEST(CommandLaunch, KeepsOurKeysToItself) {
    config::ChildSettings settings = child({"run", "{socket}"});
    settings.environment = {"HOME=/other"};
    EXPECT_THAT(plan_command(launch(), settings, {})->environment,
                ElementsAre("PATH=/bin", "HOME=/other"));
}

TEST(CommandLaunch, WhatFetchesItsModelKnowsTheHubAndTheProxies) {
    CommandLaunch fetching = launch();
    fetching.parent_environment = {
        "HF_TOKEN=t", "https_proxy=p", "OPENAI_API_KEY=theirs", "AWS_SECRET=s"};
    const config::ChildSettings settings = child({"run", "{socket}"});
    EXPECT_THAT(plan_command(fetching, settings, {})->environment, ElementsAre());
    fetching.fetches = true;
    EXPECT_THAT(plan_command(fetching, settings, {})->environment,
                ElementsAre("HF_TOKEN=t", "https_proxy=p"));
}

TEST(CommandLaunch, FillsInTheStopCommandAsTheCommand) {
    config::ChildSettings settings = child({"run", "{socket}"});
    settings.stop_command = {"docker", "rm", "drover-{model}"};
    EXPECT_THAT(plan_command(launch(), settings, {})->stop_command,
                ElementsAre("docker", "rm", "drover-" + launch().model));
}

TEST(CommandLaunch, SaysWhatIsMissing) {
    EXPECT_THAT(plan_command(launch(), child({"run"}), {}).error().message,
                AllOf(HasSubstr("{socket}"), HasSubstr("{port}")));
    EXPECT_THAT(plan_command(launch(), child({"run", "{socket}", "{port}"}), {}).error().message,
                HasSubstr("choose one"));
    CommandLaunch bare = launch();
    bare.file.clear();
    EXPECT_THAT(plan_command(bare, child({"run", "{socket}", "{file}"}), {}).error().message,
                HasSubstr("file: is missing"));
}

}  // namespace
}  // namespace drover::engines
