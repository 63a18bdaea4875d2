#include "base/units.hpp"

#include <gtest/gtest.h>

namespace drover {
namespace {

using std::chrono::milliseconds;

TEST(Bytes, ReadsBinaryAndDecimalSuffixes) {
    EXPECT_EQ(parse_bytes("12GiB").value(), 12_GiB);
    EXPECT_EQ(parse_bytes("512 MiB").value(), 512_MiB);
    EXPECT_EQ(parse_bytes("4g").value(), 4_GiB);
    EXPECT_EQ(parse_bytes("1.5GB").value(), Bytes(1'500'000'000));
    EXPECT_EQ(parse_bytes("4096").value(), Bytes(4096));
    EXPECT_EQ(parse_bytes("0").value(), Bytes(0));
}

TEST(Bytes, RefusesWhatIsNotASizeAndQuotesIt) {
    for (const char* text : {"", "GiB", "-1GiB", "12 apples", "1e400", "99999999999TiB", "nan"}) {
        const auto result = parse_bytes(text);
        ASSERT_FALSE(result.ok()) << text;
        EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
        EXPECT_NE(result.error().message.find(text), std::string::npos);
    }
}

TEST(Bytes, PrintsTheLargestFittingUnit) {
    EXPECT_EQ(to_string(Bytes(812)), "812 B");
    EXPECT_EQ(to_string(33_MiB), "33.0 MiB");
    EXPECT_EQ(to_string(Bytes(13314398618)), "12.4 GiB");
}

TEST(Duration, ReadsSecondsUnitsAndForEver) {
    EXPECT_EQ(parse_duration("300").value(), milliseconds(300'000));
    EXPECT_EQ(parse_duration("5m").value(), milliseconds(300'000));
    EXPECT_EQ(parse_duration("1h30m").value(), milliseconds(5'400'000));
    EXPECT_EQ(parse_duration("250ms").value(), milliseconds(250));
    EXPECT_EQ(parse_duration("1.5s").value(), milliseconds(1500));
    EXPECT_EQ(parse_duration("0").value(), milliseconds(0));
    EXPECT_LT(parse_duration("-1").value(), milliseconds(0));
    EXPECT_LT(parse_duration("-1s").value(), milliseconds(0));
}

TEST(Duration, RefusesWhatIsNotADuration) {
    for (const char* text : {"", "-", "5x", "m", "5m3", "1h-3m", "inf"}) {
        EXPECT_FALSE(parse_duration(text).ok()) << text;
    }
}

TEST(Duration, PrintsForPeople) {
    EXPECT_EQ(to_string(milliseconds(5'400'000)), "1h30m");
    EXPECT_EQ(to_string(milliseconds(250)), "250ms");
    EXPECT_EQ(to_string(milliseconds(0)), "0ms");
    EXPECT_EQ(to_string(milliseconds(-1)), "for ever");
}

}  // namespace
}  // namespace drover
