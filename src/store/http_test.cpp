#include "store/http.hpp"

#include <string>

#include <gtest/gtest.h>

namespace drover::store {
namespace {

TEST(Challenge, IsTakenApart) {
    const auto challenge =
        parse_challenge(R"(Bearer realm="https://auth.example.org/token",service="registry",)"
                        R"(scope="repository:library/a:pull,push")");
    ASSERT_TRUE(challenge.has_value());
    EXPECT_EQ(challenge->realm, "https://auth.example.org/token");
    EXPECT_EQ(challenge->service, "registry");
    EXPECT_EQ(challenge->scope, "repository:library/a:pull,push");
    EXPECT_EQ(parse_challenge("bearer realm=https://a/b, scope=x")->scope, "x");
}

TEST(Challenge, OfAnotherKindIsNone) {
    for (const char* text : {"",
                             "Basic realm=\"x\"",
                             "Bearer",
                             "Bearer ",
                             "Bearer realm",
                             "Bearer realm=\"",
                             "Bearer service=\"x\"",
                             "Bearer =,=,=\"\""}) {
        EXPECT_FALSE(parse_challenge(text).has_value()) << text;
    }
}

TEST(Http, KnowsOrigins) {
    EXPECT_EQ(origin_of("https://Host:1/path?x"), "https://host:1");
    EXPECT_EQ(origin_of("http://h"), "http://h");
    EXPECT_EQ(origin_of("ftp://h/x"), "");
    EXPECT_EQ(origin_of("nothing"), "");
}

TEST(Http, ResolvesWhereAServerSaysToGoOn) {
    const std::string base = "http://h:1/v2/a/b/blobs/uploads/";
    EXPECT_EQ(resolved(base, "http://other/x?y=1"), "http://other/x?y=1");
    EXPECT_EQ(resolved(base, "/v2/a/b/blobs/uploads/7?state=z"),
              "http://h:1/v2/a/b/blobs/uploads/7?state=z");
    EXPECT_EQ(resolved(base, "8"), "http://h:1/v2/a/b/blobs/uploads/8");
    EXPECT_EQ(resolved("", "x"), "");
}

TEST(Http, AsksOtherMachinesOnlyWithEncryption) {
    Http careful({}, {});
    HttpHead head;
    CURL* handle = curl_easy_init();
    EXPECT_FALSE(careful.prepare(handle, "http://example.org/x", head).ok());
    EXPECT_FALSE(careful.prepare(handle, "http://127.0.0.1.example.org/x", head).ok());
    EXPECT_FALSE(careful.prepare(handle, "file:///etc/passwd", head).ok());
    EXPECT_TRUE(careful.prepare(handle, "https://example.org/x", head).ok());
    EXPECT_TRUE(careful.prepare(handle, "http://127.0.0.1:5000/x", head).ok());
    EXPECT_TRUE(careful.prepare(handle, "http://[::1]:5000/x", head).ok());
    EXPECT_TRUE(Http({.insecure = true}, {}).prepare(handle, "http://example.org/x", head).ok());
    curl_easy_cleanup(handle);
}

TEST(Http, WaitsLongerEachTimeUnlessTheServerSaysHowLong) {
    const Http http({.backoff = std::chrono::milliseconds(100)}, {});
    EXPECT_EQ(http.delay(1, {}).count(), 100);
    EXPECT_EQ(http.delay(3, {}).count(), 400);
    EXPECT_EQ(http.delay(1000, {}).count(), 30'000);
    EXPECT_EQ(http.delay(1, {.retry_after = std::chrono::seconds(7)}).count(), 7000);
}

}  // namespace
}  // namespace drover::store
