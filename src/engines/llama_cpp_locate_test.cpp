#include "engines/llama_cpp_locate.hpp"

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace drover::engines {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kGood = "version: 0.5.0 (build 1, commit 0ad4a86)\nbuilt with GNU 12\n";
constexpr const char* kOld = "version: 0.4.2 (build 9, commit abcdef0)\n";

class LocateTest : public ::testing::Test {
  protected:
    LocateTest() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        root_ = fs::temp_directory_path() /
                (std::string("drover_locate_") + test->name() + "_" + std::to_string(::getpid()));
        fs::remove_all(root_);
        search_.cache_dir = root_ / "cache";
        search_.probe = [this](const fs::path& program) -> Result<std::string> {
            const auto found = answers_.find(program.string());
            if (found == answers_.end()) {
                return Error{ErrorCode::io_error, program.string() + ": missing libcuda.so.1"};
            }
            return found->second;
        };
        search_.devices = [this](const fs::path&) {
            return devices_;
        };
    }
    ~LocateTest() override { fs::remove_all(root_); }

    /// A program that answers --version with `answer`; nullptr: it cannot run.
    fs::path program(const fs::path& relative, const char* answer) {
        const fs::path path = root_ / relative;
        fs::create_directories(path.parent_path());
        std::ofstream(path) << "#!/bin/sh\n";
        fs::permissions(path, fs::perms::owner_all);
        if (answer != nullptr) {
            answers_[path.string()] = answer;
        }
        return path;
    }
    fs::path cached(const std::string& kind, const char* answer) {
        return program("cache/engines/llama.cpp-v0.5.0-" + kind + "/bin/llama-server", answer);
    }

    fs::path root_;
    EngineSearch search_;
    std::map<std::string, std::string> answers_;
    std::vector<std::string> devices_{"CUDA0"};
};

TEST(LlamaCppVersion, IsFoundAmongOtherOutput) {
    const auto version = parse_llama_cpp_version(
        "0.00 I srv  llama_server: initializing ...\nversion: 0.5.0-dev (build 1, commit "
        "0ad4a86)\n");
    ASSERT_TRUE(version.has_value());
    EXPECT_EQ(version->release, "0.5.0-dev");
    EXPECT_EQ(version->build, "build 1, commit 0ad4a86");
    EXPECT_TRUE(version->known());
    EXPECT_FALSE(parse_llama_cpp_version("version: 9430 (abcdef)")->known());
    EXPECT_FALSE(parse_llama_cpp_version("usage: foo").has_value());
    EXPECT_FALSE(parse_llama_cpp_version("version: \n").has_value());
}

TEST_F(LocateTest, PrefersFasterBuildsInTheCache) {
    cached("prebuilt-cpu", kGood);
    cached("vulkan", kGood);
    const fs::path native = cached("native-cpu", kGood);
    EXPECT_EQ(locate_llama_cpp(search_)->llama_server, native);
    const fs::path cuda = cached("cuda", kGood);
    const auto located = locate_llama_cpp(search_);
    EXPECT_EQ(located->llama_server, cuda);
    EXPECT_EQ(located->source, EngineSource::cache);
    EXPECT_EQ(located->devices, devices_);
}

TEST_F(LocateTest, PassesOverBuildsForGpusThatAreNotThere) {
    devices_.clear();
    cached("prebuilt-cuda", kGood);
    EXPECT_THAT(locate_llama_cpp(search_).error().message, HasSubstr("sees no GPU"));
    const fs::path processor = cached("prebuilt-cpu", kGood);
    EXPECT_EQ(locate_llama_cpp(search_)->llama_server, processor);
}

TEST_F(LocateTest, FindsWhatIsPreloadedIntoTheEngine) {
    const fs::path cpu = cached("prebuilt-cpu", kGood);
    EXPECT_EQ(locate_llama_cpp(search_)->preload, "");
    const fs::path library = cpu.parent_path().parent_path() / "lib" / "libdrover-preload.3.so";
    fs::create_directories(library.parent_path());
    std::ofstream(library) << "ELF";
    EXPECT_EQ(locate_llama_cpp(search_)->preload, library);
}

TEST_F(LocateTest, PassesOverWhatDoesNotRun) {
    cached("cuda", nullptr);
    const fs::path prebuilt = cached("prebuilt-cpu", kGood);
    EXPECT_EQ(locate_llama_cpp(search_)->llama_server, prebuilt);
}

TEST_F(LocateTest, UsesAConfiguredEngineOfAnyVersionOrNone) {
    cached("prebuilt-cpu", kGood);
    search_.configured = program("own/llama-server", kOld);
    EXPECT_EQ(locate_llama_cpp(search_)->version.release, "0.4.2");
    search_.configured = root_ / "nowhere";
    EXPECT_THAT(locate_llama_cpp(search_).error().message, HasSubstr("engine.llama_server"));
    search_.configured = program("broken/llama-server", nullptr);
    EXPECT_THAT(locate_llama_cpp(search_).error().message, HasSubstr("libcuda"));
}

TEST_F(LocateTest, TakesOnlyKnownVersionsFromPath) {
    program("old/llama-server", kOld);
    const fs::path good = program("good/llama-server", kGood);
    search_.search_path = ":relative:" + (root_ / "old").string() + ":" + (root_ / "good").string();
    const auto located = locate_llama_cpp(search_);
    ASSERT_TRUE(located.ok()) << located.error().message;
    EXPECT_EQ(located->llama_server, good);
    EXPECT_EQ(located->source, EngineSource::path);
}

TEST_F(LocateTest, SaysWhatWasTriedAndHowToInstall) {
    program("old/llama-server", kOld);
    search_.search_path = (root_ / "old").string();
    const auto located = locate_llama_cpp(search_);
    ASSERT_FALSE(located.ok());
    EXPECT_EQ(located.error().code, ErrorCode::not_found);
    EXPECT_THAT(located.error().message, HasSubstr("scripts/install-engine"));
    EXPECT_THAT(located.error().message, HasSubstr("0.4.2"));
}

TEST(LlamaCppDevices, AreThoseThatItLists) {
    EXPECT_THAT(parse_llama_cpp_devices("ggml_cuda_init: found 2 CUDA devices:\n"
                                        "  Device 0: NVIDIA H100 PCIe, compute capability 9.0\n"
                                        "Available devices:\n"
                                        "  CUDA0: NVIDIA H100 PCIe (81079 MiB, 80563 MiB free)\n"
                                        "  CUDA1: NVIDIA L4 (23034 MiB, 22515 MiB free)\n"),
                ::testing::ElementsAre("CUDA0", "CUDA1"));
    EXPECT_TRUE(parse_llama_cpp_devices("Available devices:\n  (none)\n").empty());
    EXPECT_TRUE(parse_llama_cpp_devices("error: unknown argument: --list-devices\n").empty());
}

}  // namespace
}  // namespace drover::engines
