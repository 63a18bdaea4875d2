#include "gateway/dialect/answer_shape.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

std::unique_ptr<AnswerTranslator> shape(std::string_view path, std::string_view request) {
    auto shape = shape_of_answer(path, request, "smol", 1'000);
    EXPECT_NE(shape, nullptr);
    return shape;
}

/// The documents of the events that `stream` becomes, which arrives in pieces of seven bytes.
std::vector<json::value> events_of(AnswerTranslator& shape, std::string_view stream) {
    std::string out;
    for (std::size_t at = 0; at < stream.size(); at += 7) {
        shape.put(stream.substr(at, 7), out);
    }
    shape.finish(out);
    std::vector<json::value> events;
    for (std::size_t at = out.find("data: {"); at != out.npos; at = out.find("data: {", at + 1)) {
        events.push_back(json::parse(out.substr(at + 6, out.find('\n', at) - at - 6)));
    }
    return events;
}

TEST(AnswerShape, IsNeededOnlyWhereTheRequestAsksForWhatTheEngineLacks) {
    EXPECT_EQ(shape_of_answer("/v1/messages/count_tokens", "{}", "m", 0), nullptr);
    EXPECT_EQ(shape_of_answer("/v1/completions", R"({"prompt":"x"})", "m", 0), nullptr);
    EXPECT_EQ(shape_of_answer("/v1/embeddings", R"({"dimensions":"many"})", "m", 0), nullptr);
    EXPECT_EQ(shape_of_answer("/v1/chat/completions", R"({"logprobs":true})", "m", 0), nullptr);
    EXPECT_NE(shape_of_answer("/responses", "{}", "m", 0), nullptr);
}

TEST(AnswerShape, AStopSequenceIsTheReasonOfItsStop) {
    const auto shaped = shape("/v1/messages", R"({"stop_sequences":["x"]})");
    EXPECT_EQ(json::parse(shaped->whole(R"({"stop_reason":"end_turn","stop_sequence":"x"})")),
              json::parse(R"({"stop_reason":"stop_sequence","stop_sequence":"x"})"));
    const std::string ended = R"({"stop_reason":"end_turn", "stop_sequence":null})";
    EXPECT_EQ(shaped->whole(ended), ended);
    std::string out;
    shaped->put(
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"end_turn\",\"stop_sequence\":\"x\"}}\n\n: still here\n\nevent: message_stop\ndata: "
        "{\"type\":\"message_stop\"}\n\n",
        out);
    EXPECT_THAT(out, HasSubstr("event: message_delta\ndata: {"));
    EXPECT_THAT(out, HasSubstr(R"("stop_reason":"stop_sequence")"));
    EXPECT_THAT(out, HasSubstr("\n\n: still here\n\nevent: message_stop\n"));
}

TEST(AnswerShape, TheLastUsageOfAMessageIsAllOfIt) {
    const auto events = events_of(*shape("/v1/messages", "{}"),
                                  R"(event: message_start
data: {"type":"message_start","message":{"id":"chatcmpl-7","usage":{"input_tokens":5,"output_tokens":0}}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":3}}

)");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].at("message").at("id"), "msg_7");
    EXPECT_EQ(events[1].at("usage"), json::parse(R"({"input_tokens":5,"output_tokens":3})"));
}

TEST(AnswerShape, EmbeddingsAreCutAndHaveTheLengthOne) {
    const auto shaped = shape("/v1/embeddings", R"({"dimensions":2})");
    const json::value lists =
        json::parse(shaped->whole(R"({"data":[{"embedding":[3,4,12]},{"embedding":[1,0]}]})"));
    const json::array& first = lists.at("data").at(0).at("embedding").as_array();
    ASSERT_EQ(first.size(), 2U);
    EXPECT_NEAR(first[0].to_number<double>(), 0.6, 1e-6);
    EXPECT_NEAR(first[1].to_number<double>(), 0.8, 1e-6);
    EXPECT_EQ(lists.at("data").at(1).at("embedding").as_array().size(), 2U);
}

TEST(AnswerShape, EmbeddingsInBase64AreCutToo) {
    // 3, 4, 12 and 0.6, 0.8 as little-endian floats.
    const auto shaped = shape("/v1/embeddings", R"({"dimensions":2})");
    const json::value answer =
        json::parse(shaped->whole(R"({"data":[{"embedding":"AABAQAAAgEAAAEBB"}]})"));
    EXPECT_EQ(answer.at("data").at(0).at("embedding").as_string(), "mpkZP83MTD8=");
}

TEST(AnswerShape, CompletionsTellLogProbabilitiesInLists) {
    const auto shaped = shape("/v1/completions", R"({"logprobs":1})");
    const auto events = events_of(
        *shaped,
        R"(data: {"choices":[{"index":0,"text":"\u00e9t","logprobs":{"content":[{"token":"\u00e9t","logprob":-0.5,"top_logprobs":[{"token":"a","logprob":-0.25}]}]}}]}

data: {"choices":[{"index":0,"text":"x","logprobs":{"content":[{"token":"x","logprob":-1}]}}]}

data: {"choices":[{"index":0,"text":"","logprobs":null}]}

data: [DONE]

)");
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].at("choices").at(0).at("logprobs"),
              json::parse(R"({"tokens":["\u00e9t"],"token_logprobs":[-0.5],
                              "top_logprobs":[{"a":-0.25}],"text_offset":[0]})"));
    EXPECT_EQ(events[1].at("choices").at(0).at("logprobs").at("text_offset"), json::parse("[2]"));
    EXPECT_TRUE(events[2].at("choices").at(0).at("logprobs").is_null());
}

constexpr std::string_view kResponsesStream =
    R"(event: response.created
data: {"type":"response.created","response":{"id":"r","object":"response","status":"in_progress"}}

event: response.output_item.added
data: {"type":"response.output_item.added","item":{"id":"m","type":"message","content":[]}}

event: response.content_part.added
data: {"type":"response.content_part.added","item_id":"m","part":{"type":"output_text","text":""}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"m","delta":"Hi"}

event: response.output_item.added
data: {"type":"response.output_item.added","item":{"id":"f","type":"function_call"}}

event: response.output_item.done
data: {"type":"response.output_item.done","item":{"id":"f","type":"function_call","name":"n","arguments":"{}"}}

event: response.completed
data: {"type":"response.completed","response":{"id":"r","status":"completed","output":[{"id":"m"}],"usage":{"output_tokens":3}}}

)";

TEST(AnswerShape, EventsOfAResponseAreNumberedAndSayWhereTheyBelong) {
    const auto shaped = shape("/v1/responses", R"({"max_output_tokens":4,"temperature":0.5})");
    const auto events = events_of(*shaped, kResponsesStream);
    ASSERT_EQ(events.size(), 8U);
    std::vector<std::string> types;
    for (std::size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i].at("sequence_number"), static_cast<std::int64_t>(i));
        types.emplace_back(events[i].at("type").as_string());
    }
    EXPECT_EQ(types[6 - 1], "response.function_call_arguments.done");
    EXPECT_EQ(types.back(), "response.completed");
    EXPECT_EQ(events[3].at("output_index"), 0);
    EXPECT_EQ(events[3].at("content_index"), 0);
    EXPECT_EQ(events[4].at("output_index"), 1);
    EXPECT_EQ(events[5].at("arguments"), "{}");
    const json::value& created = events[0].at("response");
    EXPECT_EQ(created.at("created_at"), 1'000);
    EXPECT_EQ(created.at("model"), "smol");
    EXPECT_EQ(created.at("temperature"), 0.5);
    EXPECT_TRUE(created.at("output").as_array().empty());
}

TEST(AnswerShape, AResponseThatReachedItsLimitIsIncomplete) {
    const auto shaped = shape("/v1/responses", R"({"max_output_tokens":3})");
    const auto events = events_of(*shaped, kResponsesStream);
    EXPECT_EQ(events.back().at("type"), "response.incomplete");
    const json::value whole = json::parse(
        shape("/v1/responses", R"({"max_output_tokens":3})")
            ->whole(
                R"({"status":"completed","output":[{"status":"completed"}],"usage":{"output_tokens":3}})"));
    for (const json::value& response : {events.back().at("response"), whole}) {
        EXPECT_EQ(response.at("status"), "incomplete");
        EXPECT_EQ(response.at("incomplete_details").at("reason"), "max_output_tokens");
        EXPECT_EQ(response.at("output").at(0).at("status"), "incomplete");
    }
}

TEST(AnswerShape, WhatHasTheShapeAlreadyStaysAsItIs) {
    std::string out;
    const std::string event =
        "event: x\ndata: {\"type\": \"response.created\", \"sequence_number\": 7}\n\n";
    shape("/v1/responses", "{}")->put(event, out);
    EXPECT_EQ(out, event);
    const std::string lists = R"({"choices": [{"logprobs": {"tokens": []}}]})";
    EXPECT_EQ(shape("/v1/completions", R"({"logprobs":1})")->whole(lists), lists);
    const std::string torn = "data: {\"half";
    out.clear();
    const auto shaped = shape("/v1/responses", "{}");
    shaped->put(torn, out);
    EXPECT_EQ(out, "");
    shaped->finish(out);
    EXPECT_EQ(out, torn);
}

}  // namespace
}  // namespace drover::gateway::dialect
