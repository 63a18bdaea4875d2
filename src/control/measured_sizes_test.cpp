#include "control/measured_sizes.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace drover::control {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class MeasuredSizesTest : public ::testing::Test {
  protected:
    fs::path file() const { return folder_ / "deep" / "measured.sqlite"; }

    drover::testing::TempDir folder_;
    SizeKey key_{"model", "engine", "settings"};
    MeasuredSize size_{{5_GiB, 20_GiB}, milliseconds(700)};
};

TEST_F(MeasuredSizesTest, RemembersAcrossRestarts) {
    {
        MeasuredSizes sizes(file());
        EXPECT_EQ(sizes.problem(), "");
        EXPECT_FALSE(sizes.find(key_).has_value());
        EXPECT_TRUE(sizes.remember(key_, {{1_GiB}, milliseconds(1)}));
        EXPECT_TRUE(sizes.remember(key_, size_));
    }
    const MeasuredSizes sizes(file());
    ASSERT_TRUE(sizes.find(key_).has_value());
    EXPECT_EQ(sizes.find(key_)->bytes, (std::vector{5_GiB, 20_GiB}));
    EXPECT_EQ(sizes.find(key_)->load_time, milliseconds(700));
}

TEST_F(MeasuredSizesTest, TellsModelsEnginesAndSettingsApart) {
    MeasuredSizes sizes(file());
    sizes.remember(key_, size_);
    EXPECT_FALSE(sizes.find({"model2", "engine", "settings"}).has_value());
    EXPECT_FALSE(sizes.find({"model", "engine2", "settings"}).has_value());
    EXPECT_FALSE(sizes.find({"model", "engine", "settings2"}).has_value());
}

TEST_F(MeasuredSizesTest, KeepsTheLatestRowsOnly) {
    MeasuredSizes sizes(file());
    constexpr std::size_t kMore = 10;
    for (std::size_t i = 0; i < MeasuredSizes::kRowsMax + kMore; ++i) {
        ASSERT_TRUE(sizes.remember({std::to_string(i), "", ""}, size_));
    }
    EXPECT_FALSE(sizes.find({std::to_string(kMore - 1), "", ""}).has_value());
    EXPECT_TRUE(sizes.find({std::to_string(kMore), "", ""}).has_value());
}

TEST_F(MeasuredSizesTest, BeginsACorruptTableAnew) {
    fs::create_directories(file().parent_path());
    std::ofstream(file()) << std::string(10'000, 'x');
    MeasuredSizes sizes(file());
    EXPECT_NE(sizes.problem().find("begun anew"), std::string::npos) << sizes.problem();
    EXPECT_TRUE(sizes.remember(key_, size_));
    EXPECT_TRUE(sizes.find(key_).has_value());
}

TEST_F(MeasuredSizesTest, LivesWithoutATable) {
    fs::create_directories(file());  // a folder where the file should be
    MeasuredSizes sizes(file());
    EXPECT_NE(sizes.problem(), "");
    EXPECT_FALSE(sizes.remember(key_, size_));
    EXPECT_FALSE(sizes.find(key_).has_value());
}

}  // namespace
}  // namespace drover::control
