#include "store/store.hpp"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace drover::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class StoreTest : public ::testing::Test {
  protected:
    /// Puts a model made of these texts.
    void put(const std::string& name, const std::vector<std::string>& contents) {
        Manifest manifest;
        for (const std::string& content : contents) {
            manifest.layers.push_back(*store_.put_blob("model", content));
        }
        ASSERT_TRUE(store_.put_manifest(*parse_model_name(name), to_json(manifest)).ok());
    }
    bool has(const std::string& content) {
        return store_.has(digest_of(content), Bytes(static_cast<std::int64_t>(content.size())));
    }
    static ModelName named(const std::string& name) { return *parse_model_name(name); }

    testing::TempDir directory_;
    Store store_{directory_ / "store"};
};

TEST_F(StoreTest, LaysFilesOutAsOllamaDoes) {
    put("qwen3:8b", {"weights"});
    EXPECT_TRUE(fs::exists(directory_ / "store/manifests/registry.ollama.ai/library/qwen3/8b"));
    EXPECT_TRUE(fs::exists(store_.root() / "blobs" / digest_of("weights").file_name()));
    const auto entries = store_.list();
    ASSERT_THAT(entries, SizeIs(1));
    EXPECT_EQ(entries[0].name.display(), "qwen3:8b");
}

TEST_F(StoreTest, FindsNamesInAnyCaseAndKeepsTheirSpelling) {
    put("hf.co/Org/Repo:Q4_K_M", {"one"});
    put("hf.co/org/repo:q4_k_m", {"two"});
    ASSERT_THAT(store_.list(), SizeIs(1));
    EXPECT_EQ(store_.list()[0].name.display(), "hf.co/Org/Repo:Q4_K_M");
    EXPECT_EQ(store_.find(named("HF.CO/ORG/REPO:q4_K_m"))->manifest.layers[0].digest,
              digest_of("two"));
    EXPECT_EQ(store_.find(named("other")).error().code, ErrorCode::not_found);
}

TEST_F(StoreTest, RemovesOnlyWhatNobodyElseUses) {
    put("a", {"shared", "only a"});
    put("b", {"shared", "only b"});
    const auto freed = store_.remove(named("a"));
    ASSERT_TRUE(freed.ok());
    EXPECT_EQ(*freed, Bytes(6));
    EXPECT_TRUE(has("shared"));
    EXPECT_FALSE(has("only a"));
    EXPECT_FALSE(fs::exists(directory_ / "store/manifests/registry.ollama.ai/library/a"));
    EXPECT_EQ(store_.remove(named("a")).error().code, ErrorCode::not_found);
}

TEST_F(StoreTest, CopiesShareTheirBlobs) {
    put("a", {"weights"});
    ASSERT_TRUE(store_.copy(named("a"), named("someone/b:2")).ok());
    EXPECT_EQ(store_.find(named("a"))->digest, store_.find(named("someone/b:2"))->digest);
    EXPECT_EQ(*store_.remove(named("a")), Bytes(0));
    EXPECT_TRUE(has("weights"));
}

TEST_F(StoreTest, CollectsGarbageUnlessSomebodyPulls) {
    put("a", {"used"});
    ASSERT_TRUE(store_.put_blob("model", "unused").ok());
    std::ofstream(store_.root() / "blobs" / "sha256-partial") << "rest";
    {
        const auto writing = store_.writing();
        ASSERT_TRUE(writing.ok());
        EXPECT_EQ(store_.collect_garbage().error().code, ErrorCode::unavailable);
        EXPECT_TRUE(has("unused"));
    }
    EXPECT_EQ(*store_.collect_garbage(), Bytes(10));
    EXPECT_TRUE(has("used"));
    EXPECT_FALSE(has("unused"));
}

TEST_F(StoreTest, RemovesNothingWhileAManifestCannotBeRead) {
    put("a", {"used"});
    std::ofstream(directory_ / "store/manifests/registry.ollama.ai/library/a/latest") << "{";
    std::vector<std::string> problems;
    EXPECT_THAT(store_.list(&problems), SizeIs(0));
    EXPECT_THAT(problems, SizeIs(1));
    EXPECT_THAT(store_.collect_garbage().error().message, HasSubstr("cannot be read"));
    EXPECT_TRUE(has("used"));
}

TEST_F(StoreTest, LinksThePartsOfASplitModelUnderTheirNames) {
    Manifest manifest;
    for (const std::string part : {"00001", "00002"}) {
        Layer layer = *store_.put_blob("model", "part " + part);
        layer.title = "big-" + part + "-of-00002.gguf";
        manifest.layers.push_back(layer);
    }
    ASSERT_TRUE(store_.put_manifest(named("big"), to_json(manifest)).ok());
    const auto files = store_.model_files(*store_.find(named("big")));
    ASSERT_TRUE(files.ok()) << files.error().message;
    ASSERT_THAT(*files, SizeIs(2));
    EXPECT_EQ((*files)[0].filename(), "big-00001-of-00002.gguf");
    std::ifstream in((*files)[1]);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "part 00002");
    EXPECT_TRUE(store_.model_files(*store_.find(named("big"))).ok()) << "a second time";
}

TEST_F(StoreTest, SaysWhichBlobIsMissing) {
    put("a", {"weights"});
    fs::remove(store_.blob(digest_of("weights")));
    EXPECT_THAT(store_.model_files(*store_.find(named("a"))).error().message,
                HasSubstr("blob is missing"));
}

}  // namespace
}  // namespace drover::store
