#include "models/registry.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "models/testing/gguf_writer.hpp"

namespace drover::models {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::GgufWriter;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::tiny_bert;
using testing::tiny_llama;

class RegistryTest : public ::testing::Test {
  protected:
    RegistryTest() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        root_ = fs::temp_directory_path() /
                (std::string("drover_registry_") + test->name() + "_" + std::to_string(::getpid()));
        fs::remove_all(root_);
        fs::create_directories(root_);
        config_.model_dirs = {root_};
    }
    ~RegistryTest() override { fs::remove_all(root_); }

    fs::path write(const std::string& name, const GgufWriter& content) {
        return write(name, content.file());
    }
    fs::path write(const std::string& name, const std::vector<std::byte>& bytes) {
        const fs::path path = root_ / name;
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
        return path;
    }
    std::vector<std::string> names(const Registry& registry) {
        std::vector<std::string> result;
        for (const Model& model : registry.models()) {
            result.push_back(model.name);
        }
        return result;
    }

    fs::path root_;
    config::Config config_;
};

TEST_F(RegistryTest, NamesFoundFilesWithoutTheQuantisation) {
    write("Tiny-Chat.Q4_0.gguf", tiny_llama());
    write("deep/er/Tiny-Embed.Q8_0.gguf", tiny_bert());
    write("mmproj-tiny-f16.gguf", tiny_llama());
    write("readme.txt", tiny_llama());
    const Registry registry = Registry::scan(config_);
    EXPECT_THAT(names(registry), ElementsAre("tiny-chat", "tiny-embed"));
    EXPECT_EQ(registry.find("tiny-chat")->task, config::Task::generate);
    EXPECT_EQ(registry.find("tiny-embed")->task, config::Task::embedding);
    EXPECT_FALSE(registry.find("tiny-chat")->broken.has_value());
    EXPECT_TRUE(registry.problems().empty());
}

TEST_F(RegistryTest, FindsByNameAliasAnyCaseAndLatest) {
    write("Tiny-Chat.Q4_0.gguf", tiny_llama());
    const Registry registry = Registry::scan(config_);
    const Model* model = registry.find("tiny-chat");
    ASSERT_NE(model, nullptr);
    EXPECT_EQ(registry.find("TINY-chat"), model);
    EXPECT_EQ(registry.find("Tiny-Chat.Q4_0"), model);
    EXPECT_EQ(registry.find("tiny-chat:latest"), model);
    EXPECT_EQ(registry.find(model->id), model);
    EXPECT_EQ(registry.find("tiny"), nullptr);
    EXPECT_EQ(registry.find(""), nullptr);
    EXPECT_EQ(registry.find(ModelId{999}), nullptr);
    EXPECT_THAT(registry.nearest("tinychat"), ElementsAre("tiny-chat"));
}

TEST_F(RegistryTest, KeepsTheQuantisationWhenNamesWouldClash) {
    write("Tiny.Q4_0.gguf", tiny_llama());
    write("Tiny.Q8_0.gguf", tiny_llama());
    write("a/Same.Q4_0.gguf", tiny_llama());
    write("b/Same.Q4_0.gguf", tiny_llama());
    const Registry registry = Registry::scan(config_);
    EXPECT_THAT(names(registry),
                ElementsAre("a/same.q4_0", "b/same.q4_0", "tiny.q4_0", "tiny.q8_0"));
    EXPECT_EQ(registry.find("tiny"), nullptr);
}

TEST_F(RegistryTest, GroupsSplitFilesAndNamesTheMissingPart) {
    auto first = tiny_llama();
    first.number("split.count", 2).number("split.no", 0);
    GgufWriter second;
    second.number("split.count", 2).tensor("output.weight", 8, {32, 16}, 16 * 34);
    write("Big-Q4_0-00001-of-00002.gguf", first);
    write("Big-Q4_0-00002-of-00002.gguf", second);
    write("Gap-Q4_0-00002-of-00002.gguf", second);
    const Registry registry = Registry::scan(config_);
    EXPECT_THAT(names(registry), ElementsAre("big", "gap"));
    const Model* big = registry.find("big");
    ASSERT_FALSE(big->broken.has_value()) << big->broken->message;
    EXPECT_THAT(big->files, SizeIs(2));
    EXPECT_EQ(big->files.front().filename(), "Big-Q4_0-00001-of-00002.gguf");
    ASSERT_TRUE(registry.find("gap")->broken.has_value());
    EXPECT_THAT(registry.find("gap")->broken->message, HasSubstr("file 1 of 2 is missing"));
}

TEST_F(RegistryTest, ListsBrokenFilesWithTheirReason) {
    auto bytes = tiny_llama().file();
    bytes.resize(bytes.size() - 600);
    write("Cut.Q4_0.gguf", bytes);
    write("Text.gguf", std::vector<std::byte>(100, std::byte{'x'}));
    write("Empty.gguf", std::vector<std::byte>());
    const Registry registry = Registry::scan(config_);
    ASSERT_THAT(registry.models(), SizeIs(3));
    EXPECT_THAT(registry.find("cut")->broken->message, HasSubstr("truncated"));
    EXPECT_THAT(registry.find("text")->broken->message, HasSubstr("not a GGUF file"));
    EXPECT_THAT(registry.find("empty")->broken->message, HasSubstr("truncated"));
}

TEST_F(RegistryTest, PutsConfiguredModelsFirstAndDoesNotListTheirFilesTwice) {
    config::ModelEntry entry;
    entry.name = "Tiny";
    entry.file = write("Chat.Q4_0.gguf", tiny_llama());
    entry.aliases = {"default"};
    entry.pin = true;
    entry.settings.context = 1024;
    config::ModelEntry gone;
    gone.name = "gone";
    gone.file = root_ / "gone.gguf";
    config_.models = {entry, gone};
    write("Tiny.Q8_0.gguf", tiny_llama());
    const Registry registry = Registry::scan(config_);
    EXPECT_THAT(names(registry), ElementsAre("Tiny", "gone", "tiny.q8_0"));
    const Model* model = registry.find("tiny");
    EXPECT_TRUE(model->declared);
    EXPECT_TRUE(model->pin);
    EXPECT_EQ(model->settings.context, 1024U);
    EXPECT_EQ(registry.find("DEFAULT"), model);
    EXPECT_EQ(registry.find("gone")->broken->code, ErrorCode::not_found);
}

TEST_F(RegistryTest, KeepsIdsWhenScannedAgain) {
    write("B.Q4_0.gguf", tiny_llama());
    const Registry first = Registry::scan(config_);
    write("A.Q4_0.gguf", tiny_llama());
    const Registry second = Registry::scan(config_, {}, &first);
    EXPECT_EQ(second.find("b")->id, first.find("b")->id);
    EXPECT_NE(second.find("a")->id, second.find("b")->id);
    fs::remove(root_ / "B.Q4_0.gguf");
    const Registry third = Registry::scan(config_, {}, &second);
    write("C.Q4_0.gguf", tiny_llama());
    const Registry fourth = Registry::scan(config_, {}, &third);
    EXPECT_NE(fourth.find("c")->id, first.find("b")->id) << "ids are never reused";
}

TEST_F(RegistryTest, ReportsADirectoryThatCannotBeRead) {
    config_.model_dirs = {root_ / "nowhere"};
    EXPECT_THAT(Registry::scan(config_).problems(), SizeIs(1));
    config_.model_dirs.clear();
    config_.cache_dir = root_ / "nowhere";
    EXPECT_THAT(Registry::scan(config_).problems(), SizeIs(0));
}

}  // namespace
}  // namespace drover::models
