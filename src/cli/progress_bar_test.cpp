#include "cli/progress_bar.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::cli {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ProgressBar, ShowsRateAndTimeLeftOnceItHasSeenEnough) {
    ProgressBar bar;
    const TimePoint begin{};
    EXPECT_THAT(bar.line("pulling a", 0_MiB, 100_MiB, begin, 100), Not(HasSubstr("/s")));
    const std::string line = bar.line("pulling a", 20_MiB, 100_MiB, begin + seconds(2), 100);
    EXPECT_THAT(line, HasSubstr("20%"));
    EXPECT_THAT(line, HasSubstr("20.0 MiB of 100.0 MiB"));
    EXPECT_THAT(line, HasSubstr("10.0 MiB/s"));
    EXPECT_THAT(line, HasSubstr("8s left"));
    EXPECT_THAT(line, HasSubstr("[######"));
}

TEST(ProgressBar, ForgetsTheRateOfThePastAndOfOtherFiles) {
    ProgressBar bar;
    const TimePoint begin{};
    bar.line("a", 0_MiB, 1000_MiB, begin, 100);
    for (int i = 1; i <= 20; ++i) {  // 100 MiB/s, then 1 MiB/s
        bar.line("a",
                 i < 3 ? 100_MiB * i : Bytes(300_MiB) + 1_MiB * i,
                 1000_MiB,
                 begin + seconds(i),
                 100);
    }
    EXPECT_THAT(bar.line("a", 321_MiB, 1000_MiB, begin + seconds(21), 100), HasSubstr("1.0 MiB/s"));
    EXPECT_THAT(bar.line("b", 5_MiB, 10_MiB, begin + seconds(22), 100), Not(HasSubstr("/s")));
}

TEST(ProgressBar, FitsIntoItsWidth) {
    ProgressBar bar;
    for (const std::size_t width : {5U, 20U, 40U, 60U, 200U}) {
        EXPECT_LE(bar.line("pulling 0123456789ab", 5_GiB, 10_GiB, TimePoint{}, width).size(),
                  width);
    }
    EXPECT_EQ(bar.line("pulling manifest", Bytes(0), Bytes(0), TimePoint{}, 80),
              "pulling manifest");
}

}  // namespace
}  // namespace drover::cli
