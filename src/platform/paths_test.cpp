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

}  // namespace
}  // namespace drover::platform
