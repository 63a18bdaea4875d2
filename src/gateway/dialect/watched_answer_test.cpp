#include "gateway/dialect/watched_answer.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::gateway::dialect {
namespace {

using router::Verdict;

/// One token's log-probabilities as llama-server tells them.
std::string token(double probability) {
    const auto logprob = [](double p) {
        return std::to_string(std::log(p));
    };
    return R"({"token":"x","logprob":)" + logprob(probability) +
           R"(,"top_logprobs":[{"token":"x","logprob":)" + logprob(probability) +
           R"(},{"token":"y","logprob":)" + logprob((1 - probability) / 2) + "}]}";
}

std::string event(const std::string& delta,
                  double probability,
                  const std::string& finish = "null") {
    return R"(data: {"choices":[{"finish_reason":)" + finish + R"(,"index":0,"delta":)" + delta +
           R"(,"logprobs":{"content":[)" + token(probability) + "]}}]}\n\n";
}

std::string text_event(double probability) {
    return event(R"({"content":"x"})", probability);
}

const std::string kEnd =
    "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}]}\n\n";
const std::string kDoneEvent = "data: [DONE]\n\n";

WatchedAnswer watching(WatchedAnswer::Terms terms = {.demands = {.confidence = 0.6, .tokens = 4}}) {
    return WatchedAnswer(std::move(terms));
}

std::string whole(const std::string& message, double probability) {
    return R"({"choices":[{"finish_reason":"stop","index":0,"message":)" + message +
           R"(,"logprobs":{"content":[)" + token(probability) + "," + token(probability) +
           R"(]}}],"usage":{"completion_tokens":2}})";
}

TEST(WatchedAnswer, HoldsAStreamUntilItIsGood) {
    WatchedAnswer answer = watching();
    answer.start(true);
    std::string out;
    for (int i = 0; i < 3; ++i) {
        answer.put(text_event(0.9), out);
        EXPECT_EQ(out, "");
    }
    answer.put(text_event(0.9), out);
    EXPECT_EQ(answer.opinion().verdict, Verdict::good);
    EXPECT_EQ(answer.tokens(), 4U);
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 8);
    EXPECT_EQ(out.find("logprob"), std::string::npos);
    // Once released it goes on, however uncertain it becomes.
    out.clear();
    answer.put(text_event(0.01), out);
    EXPECT_NE(out.find(R"("content":"x")"), std::string::npos);
    EXPECT_EQ(out.find("logprob"), std::string::npos);
    answer.put(kEnd + kDoneEvent, out);
    answer.end(out);
    EXPECT_TRUE(out.ends_with(kDoneEvent));
    EXPECT_FALSE(answer.withheld());
}

TEST(WatchedAnswer, LetsNothingOfAWeakStreamThrough) {
    WatchedAnswer answer = watching();
    answer.start(true);
    std::string out;
    for (int i = 0; i < 9; ++i) {
        answer.put(text_event(0.3), out);
    }
    answer.put(kEnd + kDoneEvent, out);
    answer.end(out);
    EXPECT_TRUE(answer.withheld());
    EXPECT_EQ(out, "");
}

TEST(WatchedAnswer, JudgesAShortStreamAtItsEnd) {
    WatchedAnswer answer = watching();
    answer.start(true);
    std::string out;
    answer.put(text_event(0.9), out);
    EXPECT_EQ(out, "");
    answer.put(kEnd + kDoneEvent, out);
    answer.end(out);
    EXPECT_EQ(answer.opinion().verdict, Verdict::good);
    EXPECT_TRUE(out.ends_with(kDoneEvent));
}

TEST(WatchedAnswer, PassesAWholeGoodAnswerWithoutWhatNobodyAskedFor) {
    WatchedAnswer answer = watching();
    answer.start(false);
    std::string out;
    answer.put(whole(R"({"role":"assistant","content":"yes"})", 0.9), out);
    EXPECT_EQ(out, "");
    answer.end(out);
    EXPECT_EQ(out,
              R"({"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant",)"
              R"("content":"yes"}}],"usage":{"completion_tokens":2}})");
    WatchedAnswer asked = watching({.demands = {.confidence = 0.6}, .strip = false});
    asked.start(false);
    const std::string body = whole(R"({"content":"yes"})", 0.9);
    out.clear();
    asked.put(body, out);
    asked.end(out);
    EXPECT_EQ(out, body);
}

TEST(WatchedAnswer, KnowsTheTextOfACompletion) {
    WatchedAnswer answer = watching();
    answer.start(false);
    std::string out;
    answer.put(R"({"choices":[{"text":"yes","index":0,"logprobs":{"content":[)" + token(0.9) +
                   R"(]},"finish_reason":"stop"}]})",
               out);
    answer.end(out);
    EXPECT_EQ(out,
              R"({"choices":[{"text":"yes","index":0,"logprobs":null,"finish_reason":"stop"}]})");
}

TEST(WatchedAnswer, IsWeakWithoutTextOrLogProbabilities) {
    for (const std::string& body : {whole(R"({"content":""})", 0.9),
                                    std::string(R"({"choices":[{"message":{"content":"x"}}]})"),
                                    std::string(R"({"choices":[]})"),
                                    std::string("no json")}) {
        WatchedAnswer answer = watching();
        answer.start(false);
        std::string out;
        answer.put(body, out);
        answer.end(out);
        EXPECT_TRUE(answer.withheld()) << body;
        EXPECT_EQ(out, "");
        EXPECT_FALSE(answer.opinion().reason.empty());
    }
}

TEST(WatchedAnswer, WantsValidJsonWhereJsonWasAskedFor) {
    for (const auto& [content, good] : {std::pair(R"({\"a\": [1, 2]})", true),
                                        std::pair(R"(```json)", false),
                                        std::pair(R"({\"a\": [1, 2)", false),
                                        std::pair(R"({\"a\": 1} and more)", false)}) {
        WatchedAnswer answer = watching({.demands = {.confidence = 0.6}, .json = true});
        answer.start(false);
        std::string out;
        answer.put(whole(std::string(R"({"content":")") + content + "\"}", 0.95), out);
        answer.end(out);
        EXPECT_EQ(answer.withheld(), !good) << content;
    }
    WatchedAnswer stream = watching({.demands = {.confidence = 0.6, .tokens = 99}, .json = true});
    stream.start(true);
    std::string out;
    stream.put(event(R"({"content":"Sure! "})", 0.99), out);
    EXPECT_TRUE(stream.withheld());  // at once, not after 99 tokens
}

TEST(WatchedAnswer, WantsToolCallsThatMakeSense) {
    const auto call = [](const std::string& name, const std::string& arguments) {
        return R"({"content":null,"tool_calls":[{"function":{"name":")" + name +
               R"(","arguments":")" + arguments + "\"}}]}";
    };
    for (const auto& [message, good] : {std::pair(call("look", R"({\"at\": 1})"), true),
                                        std::pair(call("look", ""), true),
                                        std::pair(call("look", R"({\"at\": )"), false),
                                        std::pair(call("look", "[1]"), false),
                                        std::pair(call("jump", "{}"), false)}) {
        WatchedAnswer answer = watching({.demands = {.confidence = 0.6}, .tools = {"look", "go"}});
        answer.start(false);
        std::string out;
        answer.put(whole(message, 0.95), out);
        answer.end(out);
        EXPECT_EQ(answer.withheld(), !good) << message;
    }
}

TEST(WatchedAnswer, HoldsAStreamedToolCallUntilItIsWhole) {
    for (const bool good : {true, false}) {
        WatchedAnswer answer = watching();
        answer.start(true);
        std::string out;
        answer.put(
            event(R"({"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]})", 0.9),
            out);
        for (int i = 0; i < 9; ++i) {
            answer.put(event(R"({"tool_calls":[{"index":0,"function":{"arguments":")" +
                                 std::string(i == 0 ? R"({\"a\": \")" : "x") + R"("}}]})",
                             0.9),
                       out);
            EXPECT_EQ(out, "");
        }
        if (good) {
            answer.put(event(R"({"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]})", 0.9),
                       out);
        }
        answer.put(kEnd, out);
        EXPECT_EQ(answer.withheld(), !good);
        EXPECT_EQ(out.empty(), !good);
    }
}

TEST(WatchedAnswer, IsDecidedWhenThereIsNoMoreTime) {
    WatchedAnswer answer = watching();
    answer.start(true);
    std::string out;
    answer.put(text_event(0.9), out);
    answer.hurry();
    answer.put(text_event(0.9), out);
    EXPECT_EQ(answer.opinion().verdict, Verdict::good);
}

TEST(WatchedAnswer, IsWeakWhenTheEngineFailsInItsStream) {
    WatchedAnswer answer = watching();
    answer.start(true);
    std::string out;
    answer.put("data: {\"error\":{\"message\":\"oops\"}}\n\n", out);
    EXPECT_TRUE(answer.withheld());
    EXPECT_EQ(answer.opinion().reason, "answer failed in its stream");
}

TEST(WatchedAnswer, BoundsWhatItHolds) {
    WatchedAnswer answer = watching({.demands = {.confidence = 0.6, .tokens = 1'000'000}});
    answer.start(true);
    std::string out;
    const std::string large = event(R"({"content":")" + std::string(10'000, 'x') + "\"}", 0.9);
    for (int i = 0; i < 40 && out.empty(); ++i) {
        answer.put(large, out);
    }
    EXPECT_GT(out.size(), 256U * 1024);
    EXPECT_EQ(answer.opinion().verdict, Verdict::good);
}

// 3,000 streams, cut into pieces anywhere, some damaged: either the client gets what the engine
// sent, from the first event on, or nothing at all.
TEST(WatchedAnswer, PassesAllOrNothingHoweverTheStreamIsCut) {
    Rng rng(5);
    for (int round = 0; round < 3000; ++round) {
        std::string stream;
        std::vector<std::string> texts;
        for (std::uint64_t i = 0; i < 1 + rng.below(12); ++i) {
            texts.push_back(std::to_string(rng.below(1000)));
            stream += event(R"({"content":")" + texts.back() + "\"}", 0.3 + 0.69 * rng.unit());
        }
        stream += kEnd + kDoneEvent;
        if (rng.chance(0.1)) {
            stream[rng.below(stream.size())] = static_cast<char>(rng.below(256));
        }
        WatchedAnswer answer = watching();
        answer.start(true);
        std::string out;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t size = 1 + rng.below(200);
            answer.put(std::string_view(stream).substr(at, size), out);
            at += size;
        }
        answer.end(out);
        ASSERT_NE(answer.opinion().verdict, Verdict::undecided);
        ASSERT_EQ(answer.withheld(), out.empty()) << round << out;
        ASSERT_TRUE(out.empty() || out.starts_with("data: ")) << round;
    }
}

TEST(WatchedAnswer, SaysWhyInAHeader) {
    const TimePoint asked{std::chrono::seconds(1)};
    WatchedAnswer answer =
        watching({.demands = {.confidence = 0.6}, .reason = "cascade; a's", .asked = asked});
    answer.start(false);
    std::string out;
    answer.put(whole(R"({"content":"yes"})", 0.8), out);
    answer.end(out);
    EXPECT_EQ(answer.header(asked + std::chrono::milliseconds(812)),
              "x-drover-reason: cascade; a's confidence 0.75 is at or above 0.60 (" +
                  std::to_string(answer.tokens()) + " tokens, 812 ms)\r\n");
    EXPECT_GT(answer.tokens(), 0U);
}

TEST(WatchedAnswer, AsksForLogProbabilities) {
    EXPECT_EQ(with_logprobs(R"({"model":"a"} )", "/v1/chat/completions", LogprobsMember::logprobs),
              R"({"model":"a","logprobs":true,"top_logprobs":2} )");
    EXPECT_EQ(with_logprobs(R"({"model":"a"})", "/v1/completions", LogprobsMember::logprobs),
              R"({"model":"a","logprobs":2})");
    const LogprobsMember own = logprobs_member(true, true, true);
    EXPECT_EQ(with_logprobs(R"({"model":"a"})", "/v1/chat/completions", own),
              R"({"model":"a","n_probs":2})");
    EXPECT_EQ(logprobs_member(false, true, true), LogprobsMember::logprobs);
    EXPECT_EQ(logprobs_member(true, false, true), LogprobsMember::logprobs);
    boost::json::object body{{"stream", true}, {"tools", boost::json::array()}};
    ask_for_logprobs(body, "/v1/chat/completions", true);
    EXPECT_EQ(body.at("n_probs"), 2);
    EXPECT_TRUE(tells_logprobs("/api/chat"));
    EXPECT_FALSE(tells_logprobs("/v1/messages"));
    EXPECT_FALSE(tells_logprobs("/v1/responses"));
}

}  // namespace
}  // namespace drover::gateway::dialect
