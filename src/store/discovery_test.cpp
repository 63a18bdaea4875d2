#include "store/discovery.hpp"

#include <fstream>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/registry.hpp"
#include "models/testing/gguf_writer.hpp"
#include "store/store.hpp"
#include "support/temp_dir.hpp"

namespace drover::store {
namespace {

namespace fs = std::filesystem;
using models::Origin;
using models::Registry;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string bytes_of(const models::testing::GgufWriter& writer) {
    const auto bytes = writer.file();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class DiscoveryTest : public ::testing::Test {
  protected:
    DiscoveryTest() {
        config_.cache_dir = directory_ / "cache";
        config_.store.dir = directory_ / "store";
        environment_["HOME"] = directory_.path().string();
        environment_["OLLAMA_MODELS"] = (directory_ / "ollama").string();
    }

    void write(const std::string& name, const std::string& content) {
        const fs::path file = directory_ / name;
        fs::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
    }
    /// A file of the hub's cache: a link to a blob that is called by its digest.
    void write_hub(const std::string& repository,
                   const std::string& name,
                   const std::string& content) {
        const std::string blob = repository + "/blobs/" + digest_of(content).hex();
        write(blob, content);
        const fs::path link = directory_ / (repository + "/snapshots/abc/" + name);
        fs::create_directories(link.parent_path());
        fs::create_symlink(directory_ / blob, link);
        write(repository + "/refs/main", "abc");
    }
    static void put(const Store& store,
                    const std::string& name,
                    const std::vector<std::pair<std::string, std::string>>& layers) {
        Manifest manifest;
        for (const auto& [kind, content] : layers) {
            manifest.layers.push_back(*store.put_blob(kind, content));
        }
        ASSERT_TRUE(store.put_manifest(*parse_model_name(name), to_json(manifest)).ok());
    }
    platform::Environment environment() const {
        return [this](const std::string& name) {
            const auto found = environment_.find(name);
            return found == environment_.end() ? std::nullopt : std::optional(found->second);
        };
    }
    Registry scan() {
        problems_.clear();
        return Registry::scan(config_, discover(config_, environment(), problems_));
    }
    static std::vector<std::string> names(const Registry& registry) {
        std::vector<std::string> names;
        for (const models::Model& model : registry.models()) {
            names.push_back(model.name);
        }
        return names;
    }

    testing::TempDir directory_;
    config::Config config_;
    std::map<std::string, std::string> environment_;
    std::vector<std::string> problems_;
    std::string llama_ = bytes_of(models::testing::tiny_llama());
    std::string bert_ = bytes_of(models::testing::tiny_bert());
};

TEST_F(DiscoveryTest, FindsOllamasModelsUnderTheirNamesWithTheirRecipe) {
    const Store ollama(directory_ / "ollama");
    put(ollama,
        "tiny:1b",
        {{"model", llama_},
         {"system", "Be brief."},
         {"params", R"({"stop":["x"]})"},
         {"template", "{{ .Prompt }}"},
         {"license", "MIT"},
         {"projector", "p"}});
    const Registry registry = scan();
    EXPECT_THAT(names(registry), ElementsAre("tiny:1b"));
    const models::Model& model = registry.models().front();
    ASSERT_FALSE(model.broken.has_value()) << model.broken->message;
    EXPECT_EQ(model.origin, Origin::ollama);
    EXPECT_EQ(model.files.front(), ollama.blob(digest_of(llama_)));
    EXPECT_EQ(model.recipe.system, "Be brief.");
    EXPECT_EQ(model.recipe.parameters, R"({"stop":["x"]})");
    EXPECT_THAT(model.recipe.licences, ElementsAre("MIT"));
    EXPECT_EQ(*model.projector, ollama.blob(digest_of("p")));
    EXPECT_EQ(model.companions.projector, Bytes(1));
    EXPECT_EQ(model.digest, ollama.list()[0].digest.to_string());
    EXPECT_FALSE(fs::exists(directory_ / "ollama/lock")) << "Ollama's store is only read";
}

TEST_F(DiscoveryTest, ListsWhatCannotBeServedWithItsReason) {
    const Store ollama(directory_ / "ollama");
    put(ollama, "tensors", {{"tensor", "x"}});
    put(ollama, "gone", {{"model", llama_}});
    fs::remove(ollama.blob(digest_of(llama_)));
    put(ollama, "text", {{"model", "no model"}});
    write("ollama/manifests/registry.ollama.ai/library/bad/latest", "{");
    const Registry registry = scan();
    EXPECT_THAT(registry.find("tensors")->broken->message, HasSubstr("no GGUF file"));
    EXPECT_THAT(registry.find("gone")->broken->message, HasSubstr("blob is missing"));
    EXPECT_THAT(registry.find("text")->broken->message, HasSubstr("not a GGUF file"));
    EXPECT_THAT(problems_, ElementsAre(HasSubstr("bad/latest")));
}

TEST_F(DiscoveryTest, FindsTheHubsCache) {
    const std::string repository = ".cache/huggingface/hub/models--org--Tiny-GGUF";
    write_hub(repository, "Tiny-Q4_0.gguf", llama_);
    write_hub(repository, "mmproj-F16.gguf", "p");
    write_hub(repository, "README.md", "x");
    fs::create_symlink("../../blobs/none",
                       directory_ / (repository + "/snapshots/abc/Tiny-Q8_0.gguf"));
    const Registry registry = scan();
    EXPECT_THAT(names(registry), ElementsAre("org/Tiny-GGUF:Q4_0"));
    for (const char* name : {"hf.co/org/tiny-gguf:q4_0", "org/Tiny-GGUF", "org/tiny-gguf:latest"}) {
        EXPECT_EQ(registry.find(name), &registry.models().front()) << name;
    }
    EXPECT_TRUE(registry.models().front().projector.has_value());
    environment_["HF_HUB_CACHE"] = (directory_ / "elsewhere").string();
    EXPECT_THAT(names(scan()), IsEmpty());
}

TEST_F(DiscoveryTest, FindsLmStudiosFolder) {
    write(".lmstudio/models/maker/Tiny-Chat-GGUF/Tiny-Chat-Q4_0.gguf", llama_);
    write(".cache/lm-studio/models/maker/Two-GGUF/Two-Q4_0.gguf", llama_ + "");
    write(".cache/lm-studio/models/maker/Two-GGUF/Two-Q8_0.gguf", bert_);
    const Registry registry = scan();
    EXPECT_THAT(names(registry), UnorderedElementsAre("tiny-chat", "two@q4_0", "two@q8_0"));
    EXPECT_EQ(registry.find("maker/Tiny-Chat-GGUF/Tiny-Chat-Q4_0.gguf"),
              registry.find("tiny-chat"));
}

TEST_F(DiscoveryTest, TheSameFileIsOneModelWithSeveralNames) {
    put(Store(config_.store.dir), "mine", {{"model", llama_}});
    put(Store(directory_ / "ollama"), "theirs", {{"model", llama_}});
    put(Store(directory_ / "ollama"), "other", {{"model", llama_}, {"system", "Be brief."}});
    write_hub(".cache/huggingface/hub/models--org--Tiny", "Tiny-Q4_0.gguf", llama_);
    const Registry registry = scan();
    EXPECT_THAT(names(registry), ElementsAre("mine:latest", "other:latest"));
    EXPECT_EQ(registry.find("theirs"), registry.find("mine"));
    EXPECT_EQ(registry.find("org/Tiny:Q4_0"), registry.find("mine"));
}

TEST_F(DiscoveryTest, TheSameNameFromTwoPlacesStaysApart) {
    put(Store(config_.store.dir), "tiny", {{"model", llama_}});
    put(Store(directory_ / "ollama"), "tiny", {{"model", bert_}});
    EXPECT_THAT(names(scan()), ElementsAre("ollama/tiny:latest", "tiny:latest"));
}

TEST_F(DiscoveryTest, KnowsWhereAConfiguredReferenceLies) {
    write_hub(".cache/huggingface/hub/models--org--Tiny", "config.json", "{}");
    for (const char* reference : {"org/Tiny", "org/Absent", "../../org/Tiny", "Tiny", ""}) {
        config::ModelEntry entry;
        entry.child.reference = reference;
        config_.models.push_back(std::move(entry));
    }
    const models::Snapshots fetched = fetched_references(config_, environment());
    EXPECT_THAT(
        fetched,
        ElementsAre(std::pair(
            "org/Tiny", directory_ / ".cache/huggingface/hub/models--org--Tiny/snapshots/abc")));
}

TEST_F(DiscoveryTest, LooksOnlyWhereItMay) {
    put(Store(directory_ / "ollama"), "tiny", {{"model", llama_}});
    write(".lmstudio/models/maker/Tiny/Tiny-Q4_0.gguf", bert_);
    config_.discover = {.ollama = false, .huggingface = false, .lm_studio = false};
    EXPECT_THAT(names(scan()), IsEmpty());
}

}  // namespace
}  // namespace drover::store
