#include "gateway/dialect/ollama_answer.hpp"

#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

/// An answer whose clock stands at 100 ms after the request.
OllamaAnswer answer_to(OllamaCall call, bool stream, bool top = false) {
    OllamaAnswer answer(
        {.call = call, .model = "m:latest", .stream = stream, .top_logprobs = top}, [] {
            return Instant{.monotonic = TimePoint(milliseconds(100)), .wall_ms = 1'700'000'000'125};
        });
    answer.loaded(TimePoint(milliseconds(40)));
    return answer;
}

/// Feeds the stream a byte at a time, which must make no difference.
std::string fed(OllamaAnswer& answer, std::string_view stream) {
    std::string out;
    for (const char& c : stream) {
        answer.put({&c, 1}, out);
    }
    return out;
}

constexpr std::string_view kChat =
    R"(data: {"choices":[{"delta":{"role":"assistant","content":null}}]}

data: {"choices":[{"delta":{"reasoning_content":"Hm."}}]}

: ping

data: {"choices":[{"delta":{"content":"Hel"}}]}

data: {"choices":[{"delta":{"content":"lo"},"finish_reason":null}]}

data: {"choices":[{"delta":{},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3},"timings":{"cache_n":4,"prompt_n":5,"prompt_ms":1.5,"predicted_n":3,"predicted_ms":2.25}}

data: [DONE]

)";

TEST(OllamaAnswer, StreamsALineForEveryPiece) {
    OllamaAnswer answer = answer_to(OllamaCall::chat, true);
    EXPECT_EQ(
        fed(answer, kChat),
        R"({"model":"m:latest","created_at":"2023-11-14T22:13:20.125Z","message":{"role":"assistant","content":"","thinking":"Hm."},"done":false}
{"model":"m:latest","created_at":"2023-11-14T22:13:20.125Z","message":{"role":"assistant","content":"Hel"},"done":false}
{"model":"m:latest","created_at":"2023-11-14T22:13:20.125Z","message":{"role":"assistant","content":"lo"},"done":false}
)");
    EXPECT_EQ(
        answer.finish(),
        R"({"model":"m:latest","created_at":"2023-11-14T22:13:20.125Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":100000000,"load_duration":40000000,"prompt_eval_count":9,"prompt_eval_duration":1500000,"eval_count":3,"eval_duration":2250000}
)");
}

TEST(OllamaAnswer, GathersEverythingForAClientWithoutAStream) {
    OllamaAnswer answer = answer_to(OllamaCall::generate, false);
    EXPECT_EQ(fed(answer, kChat), "");
    const json::object all = json::parse(answer.finish(json::array{1, 2})).as_object();
    EXPECT_EQ(all.at("response").as_string(), "Hello");
    EXPECT_EQ(all.at("thinking").as_string(), "Hm.");
    EXPECT_EQ(json::serialize(all.at("context")), "[1,2]");
    EXPECT_TRUE(all.at("done").as_bool());
}

TEST(OllamaAnswer, PutsToolCallsTogetherAsObjects) {
    OllamaAnswer answer = answer_to(OllamaCall::chat, true);
    EXPECT_EQ(
        fed(answer,
            R"(data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"abc","function":{"name":"weather","arguments":"{\"ci"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\":\"Paris\"}"}},{"index":1,"id":"d","function":{"name":"cut","arguments":"{\"x"}}]}}]}

)"),
        "");
    const json::value last = json::parse(answer.finish());
    EXPECT_EQ(
        json::serialize(last.at("message").at("tool_calls")),
        R"([{"id":"abc","function":{"index":0,"name":"weather","arguments":{"city":"Paris"}}},{"id":"d","function":{"index":1,"name":"cut","arguments":{}}}])");
}

TEST(OllamaAnswer, SaysWhenALimitCutIt) {
    for (const std::string_view stream :
         {R"(data: {"choices":[{"text":"x","finish_reason":"length"}]})",
          R"(data: {"content":"x","stop":true,"stop_type":"limit","timings":{"predicted_n":1}})"}) {
        OllamaAnswer answer = answer_to(OllamaCall::generate, true);
        const std::string out = fed(answer, std::string(stream) + "\n\n");
        EXPECT_EQ(json::parse(out).at("response").as_string(), "x") << stream;
        EXPECT_EQ(json::parse(answer.finish()).at("done_reason").as_string(), "length") << stream;
    }
}

TEST(OllamaAnswer, ShowsAlternativesOnlyWhenAskedFor) {
    constexpr std::string_view kStream =
        R"(data: {"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1.5}]}]}}]}

)";
    OllamaAnswer without = answer_to(OllamaCall::chat, true);
    EXPECT_EQ(json::serialize(json::parse(fed(without, kStream)).at("logprobs")),
              R"([{"token":"a","logprob":-5E-1,"bytes":[97]}])");
    OllamaAnswer with = answer_to(OllamaCall::chat, true, true);
    EXPECT_EQ(
        json::serialize(json::parse(fed(with, kStream)).at("logprobs")),
        R"([{"token":"a","logprob":-5E-1,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1.5E0,"bytes":[98]}]}])");
}

TEST(OllamaAnswer, RemembersWhatTheEngineComplainsOf) {
    OllamaAnswer answer = answer_to(OllamaCall::chat, true);
    fed(answer, "data: {\"error\":{\"code\":500,\"message\":\"out of luck\"}}\n\n");
    EXPECT_EQ(answer.error(), "out of luck");
    OllamaAnswer garbled = answer_to(OllamaCall::chat, true);
    fed(garbled, "data: {nonsense\n\n");
    EXPECT_NE(garbled.error(), "");
    EXPECT_EQ(OllamaAnswer::error_line("so"), "{\"error\":\"so\"}\n");
}

TEST(OllamaAnswer, PassesOverWhatItDoesNotUnderstand) {
    for (const std::string_view event :
         {"{}",
          R"({"choices":5})",
          R"({"choices":[7]})",
          R"({"choices":[{"delta":[]}]})",
          R"({"choices":[{"delta":{"content":9,"tool_calls":[[]]}}]})",
          R"({"timings":"fast","usage":[]})",
          R"({"choices":[{"logprobs":{"content":{}}}]})"}) {
        OllamaAnswer answer = answer_to(OllamaCall::chat, true);
        EXPECT_EQ(fed(answer, "data: " + std::string(event) + "\n\n"), "") << event;
        EXPECT_EQ(answer.error(), "") << event;
        EXPECT_TRUE(json::parse(answer.finish()).at("done").as_bool());
    }
}

TEST(OllamaAnswer, AnswersWithoutAnEngine) {
    OllamaAnswer answer = answer_to(OllamaCall::generate, true);
    EXPECT_EQ(
        answer.nothing("load"),
        R"({"model":"m:latest","created_at":"2023-11-14T22:13:20.125Z","response":"","done":true,"done_reason":"load"}
)");
}

TEST(Rfc3339, CountsFrom1970) {
    EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(1'709'210'096'007), "2024-02-29T12:34:56.007Z");
}

TEST(SseSplitter, BoundsAnEventWithoutEnd) {
    SseSplitter splitter;
    const std::string piece(std::size_t{1} << 20, 'x');
    std::size_t events = 0;
    const auto count = [&](std::string_view data) {
        ++events;
        EXPECT_LE(data.size(), SseSplitter::kEventMax);
    };
    splitter.put("data: ", count);
    for (int i = 0; i < 20; ++i) {
        splitter.put(piece, count);
    }
    splitter.put("\n\ndata: y\r\n\r\n", count);
    EXPECT_EQ(events, 2U);
}

}  // namespace
}  // namespace drover::gateway::dialect
