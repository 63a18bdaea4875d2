#include "store/digest.hpp"

#include <gtest/gtest.h>

namespace drover::store {
namespace {

TEST(Digest, ComputesWhatTheStandardSays) {
    EXPECT_EQ(digest_of("abc").hex(),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 sha;
    sha.put("a");
    sha.put("");
    sha.put("bc");
    EXPECT_EQ(sha.finish(), digest_of("abc"));
}

TEST(Digest, ReadsOnlyDigests) {
    const std::string hex(64, 'F');
    const auto digest = Digest::parse("sha256:" + hex);
    ASSERT_TRUE(digest.ok());
    EXPECT_EQ(digest->to_string(), "sha256:" + std::string(64, 'f'));
    EXPECT_EQ(digest->file_name(), "sha256-" + std::string(64, 'f'));
    EXPECT_TRUE(Digest::parse("sha256-" + hex).ok());
    for (const std::string& wrong : {std::string(),
                                     hex,
                                     "sha512:" + hex,
                                     "sha256:" + hex + "0",
                                     "sha256:" + hex.substr(1) + "/",
                                     "sha256:" + hex.substr(1) + "g",
                                     std::string("sha256:../../../../etc/passwd")}) {
        EXPECT_FALSE(Digest::parse(wrong).ok()) << wrong;
    }
}

}  // namespace
}  // namespace drover::store
