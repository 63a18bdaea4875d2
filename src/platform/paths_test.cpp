#include "platform/paths.hpp"

#include <map>

#include <gtest/gtest.h>
#include <unistd.h>

namespace drover::platform {
namespace {

Environment environment(std::map<std::string, std::string> values) {
    return [values](const std::string& name) -> std::optional<std::string> {
        const auto found = values.find(name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    };
}

TEST(Paths, FollowOurVariablesThenXdgThenHome) {
    EXPECT_EQ(cache_directory(environment({{"HOME", "/h"}})), "/h/.cache/drover");
    EXPECT_EQ(cache_directory(environment({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}})),
              "/x/drover");
    EXPECT_EQ(cache_directory(environment({{"XDG_CACHE_HOME", "/x"}, {"DROVER_CACHE", "/d"}})),
              "/d");
    EXPECT_EQ(config_directory(environment({{"HOME", "/h"}})), "/h/.config/drover");
    EXPECT_EQ(config_directory(environment({{"XDG_CONFIG_HOME", "/x"}})), "/x/drover");
    EXPECT_EQ(runtime_directory(environment({})), "/tmp/drover-" + std::to_string(::geteuid()));
    EXPECT_EQ(runtime_directory(environment({{"XDG_RUNTIME_DIR", "/r"}})), "/r/drover");
    EXPECT_EQ(runtime_directory(environment({{"DROVER_RUNTIME_DIR", "/d"}})), "/d");
}

TEST(FindProgram, TakesTheFirstOnPathThatCanBeRun) {
    const Environment path = environment({{"PATH", "bin:/nonexistent:/bin:/usr/bin"}});
    EXPECT_EQ(*find_program("sh", path), "/bin/sh");
    EXPECT_EQ(*find_program("/opt/x", path), "/opt/x");
    EXPECT_TRUE(find_program("./x", path)->is_absolute());
    EXPECT_EQ(find_program("no-such-program", path).error().code, ErrorCode::not_found);
    EXPECT_FALSE(find_program("sh", environment({})).ok());
}

}  // namespace
}  // namespace drover::platform
