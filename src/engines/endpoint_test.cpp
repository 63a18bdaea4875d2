#include "engines/endpoint.hpp"

#include <gtest/gtest.h>

namespace drover::engines {
namespace {

std::string target(const Endpoint& endpoint, std::string_view path) {
    std::string head;
    endpoint.append_target(head, path);
    return head;
}

TEST(Endpoint, TakesAnOpenAiBaseUrl) {
    const auto endpoint = Endpoint::parse("https://api.example.com/openai/v1/");
    ASSERT_TRUE(endpoint.ok());
    EXPECT_EQ(endpoint->transport, Transport::tls);
    EXPECT_EQ(endpoint->host, "api.example.com");
    EXPECT_EQ(endpoint->port, 443);
    EXPECT_EQ(endpoint->authority, "api.example.com");
    EXPECT_EQ(endpoint->text(), "https://api.example.com/openai/v1");
    EXPECT_EQ(target(*endpoint, "/v1/models"), "/openai/v1/models");
    EXPECT_EQ(target(*endpoint, "/health"), "/openai/health");
}

TEST(Endpoint, MeansTheFirstVersionWithoutAPath) {
    for (const char* url : {"http://10.0.0.5:8000", "http://10.0.0.5:8000/"}) {
        const auto endpoint = Endpoint::parse(url);
        ASSERT_TRUE(endpoint.ok());
        EXPECT_EQ(endpoint->transport, Transport::tcp);
        EXPECT_EQ(endpoint->port, 8000);
        EXPECT_EQ(target(*endpoint, "/v1/chat/completions"), "/v1/chat/completions");
        EXPECT_EQ(target(*endpoint, "/health"), "/health");
    }
}

TEST(Endpoint, PutsAnotherBaseInPlaceOfTheVersion) {
    const auto endpoint = Endpoint::parse("https://example.com/v1beta/openai");
    ASSERT_TRUE(endpoint.ok());
    EXPECT_EQ(target(*endpoint, "/v1/chat/completions"), "/v1beta/openai/chat/completions");
}

TEST(Endpoint, KeepsTheBracketsOfAnAddressForTheHeaderOnly) {
    const auto endpoint = Endpoint::parse("http://[::1]:9000/v1");
    ASSERT_TRUE(endpoint.ok());
    EXPECT_EQ(endpoint->host, "::1");
    EXPECT_EQ(endpoint->authority, "[::1]:9000");
}

TEST(Endpoint, RefusesWhatItCannotReach) {
    for (const char* url : {"localhost:8000",
                            "ftp://host/v1",
                            "http:///v1",
                            "http://host:0",
                            "http://host/v1?key=1",
                            "http://host/v1#a",
                            ""}) {
        EXPECT_FALSE(Endpoint::parse(url).ok()) << url;
    }
}

TEST(Endpoint, NeverRepeatsAPasswordFromAUrl) {
    const auto endpoint = Endpoint::parse("https://me:hunter2@example.com/v1");
    ASSERT_FALSE(endpoint.ok());
    EXPECT_EQ(endpoint.error().message.find("hunter2"), std::string::npos);
}

TEST(Endpoint, SendsTheKeyWithEveryRequestAndShowsItNowhereElse) {
    auto endpoint = Endpoint::parse("http://host:1/v1");
    ASSERT_TRUE(endpoint.ok());
    endpoint->authorization = Secret("Bearer sesame");
    std::string head;
    endpoint->append_headers(head);
    EXPECT_EQ(head, "Host: host:1\r\nAuthorization: Bearer sesame\r\n");
    EXPECT_EQ(endpoint->text().find("sesame"), std::string::npos);
}

TEST(Endpoint, AtASocketIsCalledEngine) {
    const Endpoint endpoint = Endpoint::at_socket("/run/a.sock");
    std::string head;
    endpoint.append_target(head, "/v1/models");
    endpoint.append_headers(head);
    EXPECT_EQ(head, "/v1/modelsHost: engine\r\n");
    EXPECT_EQ(endpoint.text(), "/run/a.sock");
}

}  // namespace
}  // namespace drover::engines
