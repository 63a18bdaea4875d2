#include "base/host.hpp"

#include <gtest/gtest.h>

namespace drover {
namespace {

TEST(Host, IsTakenWithoutItsPort) {
    EXPECT_EQ(without_port("example.org:80"), "example.org");
    EXPECT_EQ(without_port("example.org"), "example.org");
    EXPECT_EQ(without_port("[::1]:80"), "[::1]");
    EXPECT_EQ(without_port("[::1]"), "[::1]");
    EXPECT_EQ(without_port(""), "");
}

TEST(Host, IsLoopbackWhenNobodyElseCanAnswer) {
    for (const char* host :
         {"localhost", "LocalHost", "a.localhost", "127.0.0.1", "127.1", "::1", "[::1]"}) {
        EXPECT_TRUE(is_loopback(host)) << host;
    }
    for (const char* host : {"",
                             "localhost.example.org",
                             "127.0.0.1.example.org",
                             "127.example.1",
                             "128.0.0.1",
                             "notlocalhost",
                             "[::2]"}) {
        EXPECT_FALSE(is_loopback(host)) << host;
    }
}

TEST(Host, IsAnAddressWhenNoNameCouldEndSo) {
    EXPECT_TRUE(is_ip_address("10.0.0.1"));
    EXPECT_TRUE(is_ip_address("[fe80::1]"));
    EXPECT_FALSE(is_ip_address("example.org"));
    EXPECT_FALSE(is_ip_address(""));
}

}  // namespace
}  // namespace drover
