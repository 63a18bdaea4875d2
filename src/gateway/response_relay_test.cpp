#include "gateway/response_relay.hpp"

#include <string>

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kEvent = "a\r\ndata: {}\n\n\r\n";

/// What the client gets of these bytes.
std::string put(ResponseRelay& relay, std::string_view input) {
    relay.put(input);
    std::string sent;
    for (const std::string_view piece : relay.output()) {
        sent += piece;
    }
    return sent;
}

TEST(ResponseRelay, HoldsTheHeadBackUntilTheBodyBegins) {
    ResponseRelay relay;
    relay.start({});
    EXPECT_EQ(put(relay, kStreamHead), "");
    EXPECT_TRUE(relay.answered());
    EXPECT_FALSE(relay.body_begun());
    EXPECT_FALSE(relay.begun());
    const std::string sent = put(relay, kEvent);
    EXPECT_TRUE(sent.starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(sent.ends_with("\r\n\r\n" + std::string(kEvent)));
    EXPECT_TRUE(relay.begun());
}

TEST(ResponseRelay, HasSentNothingOfAnAnswerThatBreaksOffAfterItsHead) {
    ResponseRelay relay;
    relay.start({});
    put(relay, kStreamHead);
    relay.put_eof();
    EXPECT_TRUE(relay.failed());
    EXPECT_FALSE(relay.begun());
}

TEST(ResponseRelay, PassesAnAnswerWithoutABodyOn) {
    ResponseRelay relay;
    relay.start({});
    EXPECT_TRUE(put(relay, "HTTP/1.1 204 No Content\r\n\r\n").starts_with("HTTP/1.1 204 "));
    EXPECT_TRUE(relay.done());
    relay.start({});
    EXPECT_EQ(put(relay, kStreamHead), "");
    EXPECT_TRUE(put(relay, kLastChunk).ends_with("\r\n\r\n" + std::string(kLastChunk)));
    EXPECT_TRUE(relay.done());
    EXPECT_FALSE(relay.body_begun());
}

}  // namespace
}  // namespace drover::gateway
