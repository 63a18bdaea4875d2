#include "store/reference.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::store {
namespace {

using ::testing::HasSubstr;

Reference parsed(std::string_view text) {
    auto reference = parse_reference(text);
    EXPECT_TRUE(reference.ok()) << text << ": "
                                << (reference.ok() ? "" : reference.error().message);
    return reference.ok() ? *reference : Reference{};
}

std::string complaint(std::string_view text) {
    const auto reference = parse_reference(text);
    EXPECT_FALSE(reference.ok()) << text;
    return reference.ok() ? "" : reference.error().message;
}

TEST(Reference, ReadsNamesOfTheRegistryWithTheUsualDefaults) {
    const Reference reference = parsed("qwen3:8b");
    EXPECT_EQ(reference.kind, ReferenceKind::registry);
    EXPECT_EQ(reference.name, (ModelName{"registry.ollama.ai", "library", "qwen3", "8b"}));
    EXPECT_TRUE(reference.base.empty());
    EXPECT_EQ(parsed("qwen3").name.tag, "latest");
    EXPECT_EQ(parsed("someone/model:tag").name.space, "someone");
    const Reference elsewhere = parsed("models.example.org:5000/team/model:v1");
    EXPECT_EQ(elsewhere.base, "https://models.example.org:5000");
    EXPECT_EQ(elsewhere.name.host, "models.example.org:5000");
    EXPECT_EQ(parsed("http://127.0.0.1:5000/library/tiny:1").base, "http://127.0.0.1:5000");
}

TEST(Reference, ReadsRepositoriesOfTheHubInAllTheirSpellings) {
    for (const char* text : {"hf.co/org/repo:Q4_K_M",
                             "HF.co/org/repo:Q4_K_M",
                             "https://hf.co/org/repo:Q4_K_M",
                             "huggingface.co/org/repo:Q4_K_M",
                             "https://huggingface.co/org/repo:Q4_K_M",
                             "hf:org/repo:Q4_K_M"}) {
        const Reference reference = parsed(text);
        EXPECT_EQ(reference.kind, ReferenceKind::hub) << text;
        EXPECT_EQ(reference.name.display(), "hf.co/org/repo:Q4_K_M") << text;
    }
    EXPECT_EQ(parsed("hf.co/org/repo").name.tag, "latest");
}

TEST(Reference, ReadsOneFileOfARepositoryAsTheBrowserShowsIt) {
    for (const char* text : {"hf.co/org/repo/sub/Tiny-Q8_0.gguf",
                             "https://huggingface.co/org/repo/resolve/main/sub/Tiny-Q8_0.gguf",
                             "https://huggingface.co/org/repo/blob/main/sub/Tiny-Q8_0.gguf"}) {
        const Reference reference = parsed(text);
        EXPECT_EQ(reference.kind, ReferenceKind::hub) << text;
        EXPECT_EQ(reference.file_in_hub, "sub/Tiny-Q8_0.gguf") << text;
        EXPECT_EQ(reference.name.tag, "q8_0") << text;
    }
    EXPECT_THAT(complaint("hf.co/org/repo/readme.md"), HasSubstr("only .gguf files"));
}

TEST(Reference, OfARevisionIsAnotherModel) {
    for (const char* text : {"hf.co/org/repo@v1.0:Q4_0", "hf:org/repo@v1.0:Q4_0"}) {
        const Reference reference = parsed(text);
        EXPECT_EQ(reference.revision, "v1.0") << text;
        EXPECT_EQ(reference.name.display(), "hf.co/org/repo@v1.0:Q4_0") << text;
        EXPECT_EQ(*parse_model_name(reference.name.display()), reference.name) << text;
    }
    EXPECT_EQ(parsed("https://huggingface.co/org/repo/tree/v1.0").name.display(),
              "hf.co/org/repo@v1.0:latest");
    for (const char* text : {"hf.co/org/repo@v1.0/sub/Tiny-Q8_0.gguf",
                             "https://huggingface.co/org/repo/resolve/v1.0/sub/Tiny-Q8_0.gguf"}) {
        const Reference reference = parsed(text);
        EXPECT_EQ(reference.revision, "v1.0") << text;
        EXPECT_EQ(reference.file_in_hub, "sub/Tiny-Q8_0.gguf") << text;
        EXPECT_EQ(reference.name.display(), "hf.co/org/repo@v1.0:q8_0") << text;
    }
    EXPECT_EQ(parsed("hf.co/org/repo@main:Q4_0").name.display(), "hf.co/org/repo:Q4_0");
    EXPECT_TRUE(parsed("hf.co/org/repo@main:Q4_0").revision.empty());
    EXPECT_THAT(complaint("hf.co/org/repo@:Q4_0"), HasSubstr("no revision"));
    EXPECT_THAT(complaint("hf.co/org/repo@a b"), HasSubstr("without slashes"));
    EXPECT_THAT(complaint("hf.co/org/repo@refs/pr/1"), HasSubstr("gguf"));
}

TEST(Reference, NamesFilesAndUrlsByTheirFileName) {
    const Reference file = parsed("./models/Tiny-Chat.Q4_0.gguf");
    EXPECT_EQ(file.kind, ReferenceKind::file);
    EXPECT_EQ(file.file, "./models/Tiny-Chat.Q4_0.gguf");
    EXPECT_EQ(file.name.display(), "tiny-chat:q4_0");
    EXPECT_EQ(parsed("Plain.gguf").name.display(), "plain:latest");
    EXPECT_EQ(parsed("/m/Big-Q4_0-00001-of-00002.gguf").name.display(), "big:q4_0");
    const Reference url = parsed("https://example.org/a/Tiny.Q8_0.gguf?x=1");
    EXPECT_EQ(url.kind, ReferenceKind::url);
    EXPECT_EQ(url.url, "https://example.org/a/Tiny.Q8_0.gguf?x=1");
    EXPECT_EQ(url.name.display(), "tiny:q8_0");
    const std::string hex(64, 'A');
    EXPECT_EQ(parsed("https://e.org/T.gguf#sha256=" + hex).digest, std::string(64, 'a'));
}

TEST(Reference, SaysWhatIsWrongAndWhatWouldBeRight) {
    EXPECT_THAT(complaint(""), HasSubstr("it is empty"));
    EXPECT_THAT(complaint("a/b/c/d"), HasSubstr("more than three parts"));
    EXPECT_THAT(complaint("model:"), HasSubstr("no tag"));
    EXPECT_THAT(complaint("/etc/passwd"), HasSubstr("only .gguf files"));
    EXPECT_THAT(complaint("hf.co/org"), HasSubstr("ORG/REPO"));
    EXPECT_THAT(complaint("qwen3@sha256:abc"), HasSubstr("digest"));
    EXPECT_THAT(complaint("https://e.org/T.gguf#sha256=12"), HasSubstr("64 hexadecimal"));
    EXPECT_THAT(complaint("https://user:secret@e.org/T.gguf"), HasSubstr("password"));
    EXPECT_THAT(complaint("bad name"), HasSubstr("qwen3:8b"));
}

TEST(Reference, NeverMakesAPathThatLeadsElsewhere) {
    for (const std::string text : {"../../etc",
                                   "..",
                                   "a/../b",
                                   "host/..:x",
                                   "x:..",
                                   "x:../y",
                                   "hf.co/../x",
                                   "hf.co/a/..:b",
                                   "hf.co/a/b@..:c",
                                   "hf.co/a/b@../c.gguf",
                                   "hf.co/a/..@x:c",
                                   "hf.co/a/b/../../c.gguf",
                                   "http://h/../x",
                                   ".hidden",
                                   "a/.b:c",
                                   "a:.b",
                                   "h/a/b:c/d"}) {
        const auto reference = parse_reference(text);
        if (!reference.ok()) {
            continue;
        }
        for (const auto& part : reference->name.path()) {
            EXPECT_NE(part, "..") << text;
            EXPECT_NE(part.string().front(), '.') << text;
        }
        EXPECT_EQ(reference->file_in_hub.find(".."), std::string::npos) << text;
    }
}

TEST(Reference, RefusesHostileTextWithoutRepeatingAllOfIt) {
    const std::string endless(1'000'000, 'x');
    EXPECT_LT(complaint(endless).size(), 1000U);
    EXPECT_LT(complaint("https://" + endless).size(), 1000U);
    EXPECT_THAT(complaint(std::string("a\0b", 3)), HasSubstr("zero byte"));
    EXPECT_EQ(complaint("a\nb").find('\n'), std::string::npos);
    for (int c = 0; c < 256; ++c) {
        const std::string text = std::string("na") + static_cast<char>(c) + "me";
        static_cast<void>(parse_reference(text));
        static_cast<void>(parse_reference("hf.co/" + text + "/" + text + ":" + text));
        static_cast<void>(parse_reference("http://" + text));
    }
}

}  // namespace
}  // namespace drover::store
