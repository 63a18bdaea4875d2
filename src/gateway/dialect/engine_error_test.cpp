#include "gateway/dialect/engine_error.hpp"

#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

constexpr std::string_view kTooLong =
    R"({"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":2031,"n_ctx":1024}})";
constexpr std::string_view kUnsupported =
    R"({"error":{"code":501,"message":"no audio","type":"not_supported_error"}})";

TEST(EngineError, HasTheWordsThatProgramsLookFor) {
    EXPECT_EQ(
        translate_engine_error(Dialect::openai, 400, kTooLong).body,
        R"({"error":{"code":"context_length_exceeded","message":"too long","type":"invalid_request_error","n_prompt_tokens":2031,"n_ctx":1024,"param":null}})");
    EXPECT_EQ(
        translate_engine_error(Dialect::anthropic, 400, kTooLong).body,
        R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2031 tokens > 1024 maximum"}})");
    EXPECT_EQ(translate_engine_error(Dialect::ollama, 400, kTooLong).body,
              R"({"error":"too long"})");
}

TEST(EngineError, WhatAnEngineCannotDoIsNotRepeated) {
    const EngineError openai = translate_engine_error(Dialect::openai, 501, kUnsupported);
    EXPECT_EQ(openai.status, 400U);
    EXPECT_EQ(
        openai.body,
        R"({"error":{"code":"not_supported","message":"no audio","type":"invalid_request_error","param":null}})");
    EXPECT_EQ(translate_engine_error(Dialect::anthropic, 501, kUnsupported).status, 400U);
}

TEST(EngineError, AnEnginesOwnFailureStaysOne) {
    constexpr std::string_view kFailure =
        R"({"error":{"code":500,"message":"oh","type":"server_error"}})";
    EXPECT_EQ(
        translate_engine_error(Dialect::openai, 500, kFailure).body,
        R"({"error":{"code":"server_error","message":"oh","type":"server_error","param":null}})");
    EXPECT_EQ(translate_engine_error(Dialect::anthropic, 500, kFailure).body,
              R"({"type":"error","error":{"type":"api_error","message":"oh"}})");
}

TEST(EngineError, WhatIsTheClientsFaultIsNoFailureOfTheServer) {
    const auto answer = [](std::string_view message) {
        return translate_engine_error(Dialect::openai,
                                      500,
                                      R"({"error":{"code":500,"type":"server_error","message":")" +
                                          std::string(message) + R"("}})");
    };
    for (const std::string_view message :
         {"input (602 tokens) is too large to process. increase the physical batch size",
          "image input is not supported - hint: you may need to provide the mmproj",
          "'messages' is required",
          R"(\"prompt\" must not be empty)"}) {
        EXPECT_EQ(answer(message).status, 400U) << message;
        EXPECT_EQ(answer(message).body.find("server_error"), std::string::npos) << message;
    }
    EXPECT_EQ(answer("Invalid input batch.").status, 500U);
}

TEST(EngineError, LeavesWhatItDoesNotKnow) {
    for (const std::string_view body : {"", "oops", "[]", "{}", R"({"error":"text"})"}) {
        EXPECT_EQ(translate_engine_error(Dialect::openai, 500, body).body, body);
    }
}

}  // namespace
}  // namespace drover::gateway::dialect
