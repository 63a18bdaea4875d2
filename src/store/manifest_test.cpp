#include "store/manifest.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::store {
namespace {

using ::testing::HasSubstr;

std::string layer(const std::string& kind, const std::string& size, const std::string& hex) {
    return R"({"mediaType":"application/vnd.ollama.image.)" + kind + R"(","digest":"sha256:)" +
           hex + R"(","size":)" + size + "}";
}

const std::string kHex(64, 'a');

TEST(Manifest, IsReadAsRegistriesWriteIt) {
    const auto manifest = parse_manifest(
        R"({"schemaVersion":2,"config":)" + layer("config", "5", kHex) + R"(,"layers":[)" +
        layer("model", "1000", std::string(64, 'b')) + "," + layer("template", "20", kHex) + "]}");
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    EXPECT_EQ(manifest->of_kind("model").size(), 1U);
    EXPECT_EQ(manifest->of_kind("model")[0].digest.hex(), std::string(64, 'b'));
    EXPECT_EQ(manifest->all().size(), 3U);
    EXPECT_EQ(manifest->size(), Bytes(1025));
}

TEST(Manifest, IsReadAgainAsItIsWritten) {
    Manifest manifest;
    manifest.layers.push_back({.media_type = media_type("model"),
                               .digest = digest_of("x"),
                               .size = Bytes(7),
                               .title = "x-00001-of-00002.gguf"});
    const auto again = parse_manifest(to_json(manifest));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->layers[0].title, "x-00001-of-00002.gguf");
    EXPECT_EQ(to_json(*again), to_json(manifest));
}

TEST(Manifest, OfAStrangerIsNotTrusted) {
    const auto complaint = [](const std::string& text) {
        const auto manifest = parse_manifest(text);
        EXPECT_FALSE(manifest.ok()) << text;
        return manifest.ok() ? std::string() : manifest.error().message;
    };
    EXPECT_THAT(complaint(""), HasSubstr("no JSON object"));
    EXPECT_THAT(complaint("[]"), HasSubstr("no JSON object"));
    EXPECT_THAT(complaint("{}"), HasSubstr("no layers"));
    EXPECT_THAT(complaint(R"({"layers":[]})"), HasSubstr("no layers"));
    EXPECT_THAT(complaint(R"({"layers":[1]})"), HasSubstr("no object"));
    EXPECT_THAT(complaint(R"({"layers":[{}]})"), HasSubstr("without digest or size"));
    const auto with = [](const std::string& size, const std::string& hex) {
        return R"({"layers":[)" + layer("model", size, hex) + "]}";
    };
    EXPECT_THAT(complaint(with("-1", kHex)), HasSubstr("impossible size"));
    EXPECT_THAT(complaint(with("9223372036854775807", kHex)), HasSubstr("impossible size"));
    EXPECT_THAT(complaint(with("1e300", kHex)), HasSubstr("impossible size"));
    EXPECT_THAT(complaint(with("1", "../../etc/passwd")), HasSubstr("digest is wrong"));
    std::string many = R"({"layers":[)";
    for (std::size_t i = 0; i <= kLayersMax; ++i) {
        many += (i == 0 ? "" : ",") + layer("model", "1", kHex);
    }
    EXPECT_THAT(complaint(many + "]}"), HasSubstr("more than 4096 layers"));
    EXPECT_THAT(complaint(std::string(10'000, '[')), HasSubstr("no JSON object"));
}

}  // namespace
}  // namespace drover::store
