#include "store/hub.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::store {
namespace {

using ::testing::HasSubstr;

std::vector<HubFile> files(const std::vector<std::string>& paths) {
    std::vector<HubFile> made;
    for (const std::string& path : paths) {
        made.push_back({.path = path, .size = Bytes(1), .digest = digest_of(path)});
    }
    return made;
}

std::vector<std::string> chosen(const std::vector<std::string>& paths,
                                const std::string& tag,
                                const std::string& file = "") {
    const auto choice = choose_hub_files(files(paths), tag, file);
    if (!choice.ok()) {
        return {choice.error().message};
    }
    std::vector<std::string> names;
    for (const HubFile& one : choice->model) {
        names.push_back(one.path);
    }
    if (choice->projector.has_value()) {
        names.push_back(choice->projector->path);
    }
    return names;
}

using ::testing::ElementsAre;

TEST(Hub, ReadsTheListOfFiles) {
    const std::string hex(64, 'a');
    std::vector<HubFile> found;
    ASSERT_TRUE(parse_hub_tree(R"([{"type":"directory","path":"x"},
        {"type":"file","path":"README.md","size":3},
        {"type":"file","path":"m-Q4_0.gguf","size":130,"lfs":{"oid":")" +
                                   hex + R"(","size":9000}},
        {"type":"file","path":"../evil.gguf","size":1},
        {"type":"file","path":"/evil.gguf","size":1}])",
                               found)
                    .ok());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].path, "m-Q4_0.gguf");
    EXPECT_EQ(found[0].size, Bytes(9000));
    EXPECT_EQ(found[0].digest->hex(), hex);
    EXPECT_FALSE(parse_hub_tree("{}", found).ok());
    EXPECT_FALSE(parse_hub_tree("[", found).ok());
    EXPECT_FALSE(parse_hub_tree(R"([{"path":"a.gguf","size":-1}])", found).ok());
}

TEST(Hub, TakesTheQuantisationThatTheTagNames) {
    const std::vector<std::string> paths{"m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-UD-Q2_K_XL.gguf"};
    EXPECT_THAT(chosen(paths, "q8_0"), ElementsAre("m-Q8_0.gguf"));
    EXPECT_THAT(chosen(paths, "latest"), ElementsAre("m-Q4_K_M.gguf"));
    EXPECT_THAT(chosen(paths, "UD-Q2_K_XL"), ElementsAre("m-UD-Q2_K_XL.gguf"));
    EXPECT_THAT(chosen(paths, "x", "m-Q8_0.gguf"), ElementsAre("m-Q8_0.gguf"));
    EXPECT_THAT(chosen(paths, "Q5_K_M").front(),
                HasSubstr("no 'Q5_K_M'; it has Q4_K_M, Q8_0, UD-Q2_K_XL"));
    EXPECT_THAT(chosen({"mmproj-F16.gguf"}, "latest").front(), HasSubstr("no GGUF file"));
}

TEST(Hub, TakesAllPartsAndTheProjector) {
    EXPECT_THAT(chosen({"Q4_0/m-Q4_0-00002-of-00002.gguf",
                        "Q4_0/m-Q4_0-00001-of-00002.gguf",
                        "mmproj-BF16.gguf",
                        "mmproj-F16.gguf",
                        "mmproj-F32.gguf"},
                       "Q4_0"),
                ElementsAre("Q4_0/m-Q4_0-00001-of-00002.gguf",
                            "Q4_0/m-Q4_0-00002-of-00002.gguf",
                            "mmproj-F16.gguf"));
    EXPECT_THAT(chosen({"m-Q4_0-00001-of-00002.gguf"}, "Q4_0").front(),
                HasSubstr("a part of m-Q4_0-00001-of-00002.gguf is missing"));
}

}  // namespace
}  // namespace drover::store
