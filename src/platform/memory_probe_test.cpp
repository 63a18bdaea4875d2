#include "platform/memory_probe.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "platform/process_group.hpp"
#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMeminfo =
    "MemTotal:       16000000 kB\n"
    "MemFree:         1000000 kB\n"
    "MemAvailable:    9000000 kB\n"
    "SwapTotal:       2000000 kB\n";

/// A machine's /proc and /sys in a folder.
class HostMemoryTest : public ::testing::Test {
  protected:
    void put(const std::string& path, std::string_view content) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << content;
    }

    void put_v2(const std::string& group, const std::string& max, const std::string& current) {
        const std::string folder = "sys/fs/cgroup" + group + "/memory.";
        put(folder + "max", max + "\n");
        put(folder + "high", "max\n");
        put(folder + "current", current + "\n");
        put(folder + "stat",
            "anon 100\ninactive_file 1000\nactive_file 500\nslab_reclaimable 50\n");
    }

    HostMemory memory() {
        const auto memory = host_memory(root_.path());
        EXPECT_TRUE(memory.ok());
        return memory.ok() ? *memory : HostMemory{};
    }

    testing::TempDir root_;
};

TEST_F(HostMemoryTest, IsTheMachinesWithoutCgroups) {
    put("proc/meminfo", kMeminfo);
    EXPECT_EQ(memory().total, Bytes(16'000'000LL * 1024));
    EXPECT_EQ(memory().available, Bytes(9'000'000LL * 1024));
    EXPECT_FALSE(memory().cgroup_limit.has_value());
}

TEST_F(HostMemoryTest, IsTheTightestOfAllLevelsV2) {
    put("proc/meminfo", kMeminfo);
    put("proc/self/cgroup", "0::/user.slice/app.scope\n");
    put_v2("/user.slice/app.scope", "max", "3000");
    put_v2("/user.slice", "10000", "7000");
    EXPECT_EQ(memory().total, Bytes(10'000));
    EXPECT_EQ(memory().cgroup_limit, Bytes(10'000));
    // 3000 free and 1550 that can be dropped.
    EXPECT_EQ(memory().available, Bytes(4'550));
}

TEST_F(HostMemoryTest, TheLimitsAndTheFreeBytesMayBeOfDifferentLevels) {
    put("proc/meminfo", kMeminfo);
    put("proc/self/cgroup", "0::/a/b\n");
    put_v2("/a/b", "8000", "1600");  // free: 6400 + 1550
    put_v2("/a", "20000", "19000");  // free: 1000 + 1550
    EXPECT_EQ(memory().total, Bytes(8'000));
    EXPECT_EQ(memory().available, Bytes(2'550));
}

TEST_F(HostMemoryTest, ThrottlingCountsAsALimit) {
    put("proc/meminfo", kMeminfo);
    put("proc/self/cgroup", "0::/a\n");
    put_v2("/a", "8000", "2000");
    put("sys/fs/cgroup/a/memory.high", "5000\n");
    EXPECT_EQ(memory().total, Bytes(5'000));
    EXPECT_EQ(memory().available, Bytes(4'550));
}

TEST_F(HostMemoryTest, ReadsV1WithAHybridHierarchy) {
    put("proc/meminfo", kMeminfo);
    put("proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/job/1\n0::/\n");
    const std::string folder = "sys/fs/cgroup/memory/job/1/memory.";
    put(folder + "limit_in_bytes", "4000000\n");
    put(folder + "usage_in_bytes", "3000000\n");
    put(folder + "stat", "inactive_file 1\ntotal_inactive_file 200000\ntotal_active_file 300000\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "5000000\n");
    EXPECT_EQ(memory().total, Bytes(4'000'000));
    EXPECT_EQ(memory().available, Bytes(1'500'000));
}

TEST_F(HostMemoryTest, InAContainerTheRootIsItsOwnGroup) {
    // The path is the host's and does not exist here.
    put("proc/meminfo", kMeminfo);
    put("proc/self/cgroup", "4:memory:/docker/0123456789\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000\n");
    put("sys/fs/cgroup/memory/memory.stat", "");
    EXPECT_EQ(memory().available, Bytes(1'000'000));
}

TEST_F(HostMemoryTest, IsNeverNegative) {
    put("proc/meminfo", kMeminfo);
    put("proc/self/cgroup", "0::/a\n");
    put_v2("/a", "1000", "9000");
    EXPECT_EQ(memory().available, Bytes(0));
}

TEST_F(HostMemoryTest, FailsWithoutMeminfo) {
    EXPECT_FALSE(host_memory(root_.path()).ok());
    put("proc/meminfo", "MemFree: 1 kB\n");
    EXPECT_FALSE(host_memory(root_.path()).ok());
}

TEST_F(HostMemoryTest, StallsAreToldAsAShare) {
    put("proc/pressure/memory",
        "some avg10=50.00 avg60=9.00 avg300=1.00 total=12\n"
        "full avg10=12.50 avg60=3.00 avg300=1.00 total=7\n");
    EXPECT_DOUBLE_EQ(memory_stall(root_.path()), 0.125);
    put("proc/pressure/memory", "full avg10=none\n");
    EXPECT_EQ(memory_stall(root_.path()), 0);
}

TEST_F(HostMemoryTest, AKernelWithoutPressureHasNoStalls) {
    EXPECT_EQ(memory_stall(root_.path()), 0);
}

TEST(KilobyteField, IsOfTheWholeName) {
    EXPECT_EQ(kilobyte_field("Pss_Anon:   7 kB\nPss:  12 kB\n", "Pss"), Bytes(12 * 1024));
    EXPECT_EQ(kilobyte_field("Pss: 12 kB", "Pss"), Bytes(12 * 1024));
    EXPECT_FALSE(kilobyte_field("Pss: none\n", "Pss").has_value());
    EXPECT_FALSE(kilobyte_field("", "Pss").has_value());
}

TEST(SmapsRollup, IsSplit) {
    const auto memory = parse_smaps_rollup(
        "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:   900 kB\nPss:   800 kB\n"
        "Pss_Dirty: 9 kB\nPss_Anon:   500 kB\nPss_File:   300 kB\nPss_Shmem: 0 kB\n");
    ASSERT_TRUE(memory.has_value());
    EXPECT_EQ(memory->total, 800_KiB);
    EXPECT_EQ(memory->anonymous, 500_KiB);
    EXPECT_EQ(memory->file, 300_KiB);
    EXPECT_FALSE(parse_smaps_rollup("").has_value());
}

TEST(ProcessPss, IsOurs) {
    const auto own = process_pss(own_pid());
    ASSERT_TRUE(own.ok());
    EXPECT_GT(own->total, 500_KiB);
    EXPECT_LT(own->total, 4_GiB);
    EXPECT_EQ(process_pss(0).error().code, ErrorCode::not_found);
}

TEST(ProcessStat, SurvivesAnyName) {
    const auto stat = parse_process_stat("12 (a) R 1 2 (b) S 7 34 34 0 -1");
    ASSERT_TRUE(stat.has_value());
    EXPECT_EQ(stat->pid, 12);
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->group, 34);
    for (const char* broken :
         {"", "12", "12 (a", "12 (a)", "12 (a) S", "12 (a) S x y", "(a) S 1 2"}) {
        EXPECT_FALSE(parse_process_stat(broken).has_value()) << broken;
    }
}

}  // namespace
}  // namespace drover::platform
