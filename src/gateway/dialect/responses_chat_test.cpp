#include <string>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/dialect/responses_of_chat.hpp"
#include "gateway/dialect/responses_request.hpp"

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;
using testing::ElementsAre;

json::value translated(const char* request) {
    const auto body = openai_chat_of_responses(json::parse(request).get_object());
    EXPECT_TRUE(body.ok()) << body.error().message;
    return body.ok() ? json::value(*body) : json::value();
}

TEST(ResponsesRequest, BecomesAChatCompletion) {
    EXPECT_EQ(translated(R"({"model":"m","input":"Hi","instructions":"Be brief.","stream":true,
            "max_output_tokens":9,"temperature":0,"store":true,"include":[],"top_k":3,
            "reasoning":{"effort":"low"}})"),
              json::parse(R"({"model":"m","messages":[{"role":"system","content":"Be brief."},
            {"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true},
            "max_tokens":9,"temperature":0,"top_k":3,"reasoning_effort":"low"})"));
}

TEST(ResponsesRequest, PutsWhatTheAssistantDidInARowIntoOneMessage) {
    EXPECT_EQ(translated(R"({"input":[
            {"role":"user","content":[{"type":"input_text","text":"What is it?"},
              {"type":"input_image","image_url":"data:x"}]},
            {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"See:"}]},
            {"type":"function_call","call_id":"c1","name":"look","arguments":"{}"},
            {"type":"function_call","call_id":"c2","name":"look","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"A"},
            {"type":"function_call_output","call_id":"c2",
              "output":[{"type":"input_text","text":"B"}]}]})"),
              json::parse(R"({"messages":[
            {"role":"user","content":[{"type":"text","text":"What is it?"},
              {"type":"image_url","image_url":{"url":"data:x"}}]},
            {"role":"assistant","reasoning_content":"Hm.",
              "content":[{"type":"text","text":"See:"}],"tool_calls":[
              {"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}},
              {"id":"c2","type":"function","function":{"name":"look","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"A"},
            {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"B"}]}]})"));
}

TEST(ResponsesRequest, OffersFunctionsAndAsksForJson) {
    EXPECT_EQ(translated(R"({"input":"x","tools":[{"type":"function","name":"f",
              "parameters":{"type":"object"}},{"type":"function","name":"g"},
              {"type":"web_search"}],"tool_choice":{"type":"function","name":"g"},
            "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}})"),
              json::parse(R"({"messages":[{"role":"user","content":"x"}],
            "tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required",
            "response_format":{"type":"json_schema",
              "json_schema":{"name":"n","schema":{"type":"object"}}}})"));
}

TEST(ResponsesRequest, SaysWhatCannotBeSaid) {
    for (const char* request : {R"({"input":[{"role":"user","content":[{"type":"input_file"}]}]})",
                                R"({"input":[{"type":"item_reference","id":"x"}]})",
                                R"({"input":"x","previous_response_id":"resp_1"})",
                                R"({"instructions":"x"})"}) {
        EXPECT_FALSE(openai_chat_of_responses(json::parse(request).get_object()).ok()) << request;
    }
}

ResponsesOfChat answer_to(const char* request) {
    return {json::parse(request).get_object(), "smol", 1'000};
}

/// The documents of the events that a stream of chunks becomes, which is cut at the worst places.
std::vector<json::value> streamed(const std::vector<std::string>& chunks) {
    ResponsesOfChat answer = answer_to(R"({"temperature":0})");
    std::string out;
    for (const std::string& chunk : chunks) {
        const std::string event = "data: " + chunk + "\n\n";
        answer.put(std::string_view(event).substr(0, 9), out);
        answer.put(std::string_view(event).substr(9), out);
    }
    answer.finish(out);
    std::vector<json::value> events;
    for (std::size_t at = out.find("data: {"); at != out.npos; at = out.find("data: {", at + 1)) {
        events.push_back(json::parse(out.substr(at + 6, out.find('\n', at) - at - 6)));
    }
    return events;
}

std::vector<std::string> types_of(const std::vector<json::value>& events) {
    std::vector<std::string> types;
    for (const json::value& event : events) {
        types.emplace_back(event.at("type").as_string());
    }
    return types;
}

TEST(ResponsesOfChat, OfATextHaveTheEventsThatClientsWaitFor) {
    const auto events =
        streamed({R"({"id":"c1","choices":[{"delta":{"role":"assistant","content":null}}]})",
                  R"({"id":"c1","choices":[{"delta":{"content":"Hel"}}]})",
                  R"({"id":"c1","choices":[{"delta":{"content":"lo"}}]})",
                  R"({"id":"c1","choices":[{"delta":{},"finish_reason":"stop"}]})",
                  R"({"id":"c1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}})",
                  "[DONE]"});
    EXPECT_THAT(types_of(events),
                ElementsAre("response.created",
                            "response.in_progress",
                            "response.output_item.added",
                            "response.content_part.added",
                            "response.output_text.delta",
                            "response.output_text.delta",
                            "response.output_text.done",
                            "response.content_part.done",
                            "response.output_item.done",
                            "response.completed"));
    for (std::size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i].at("sequence_number"), i);
    }
    EXPECT_EQ(events[6].at("text"), "Hello");
    const json::value& last = events.back().at("response");
    EXPECT_EQ(last.at("output").at(0).at("content").at(0).at("text"), "Hello");
    EXPECT_EQ(last.at("usage").at("total_tokens"), 7);
    EXPECT_EQ(last.at("temperature"), 0);
}

TEST(ResponsesOfChat, OfThoughtsAndCallsHaveAnItemForEach) {
    const auto events = streamed(
        {R"({"id":"c1","choices":[{"delta":{"reasoning_content":"Hm."}}]})",
         R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f",)"
         R"("arguments":""}}]}}]})",
         R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]})",
         R"({"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g",)"
         R"("arguments":"{}"}}]},"finish_reason":"tool_calls"}]})"});
    EXPECT_THAT(types_of(events),
                ElementsAre("response.created",
                            "response.in_progress",
                            "response.output_item.added",
                            "response.reasoning_text.delta",
                            "response.output_item.done",
                            "response.output_item.added",
                            "response.function_call_arguments.delta",
                            "response.function_call_arguments.done",
                            "response.output_item.done",
                            "response.output_item.added",
                            "response.function_call_arguments.delta",
                            "response.function_call_arguments.done",
                            "response.output_item.done",
                            "response.completed"));
    const json::array& output = events.back().at("response").at("output").as_array();
    ASSERT_EQ(output.size(), 3U);
    EXPECT_EQ(output[0].at("content").at(0).at("text"), "Hm.");
    EXPECT_EQ(output[1].at("call_id"), "a");
    EXPECT_EQ(output[2].at("name"), "g");
    EXPECT_EQ(output[2].at("arguments"), "{}");
}

TEST(ResponsesOfChat, ThatReachTheirLimitAreIncomplete) {
    const auto events =
        streamed({R"({"choices":[{"delta":{"content":"Hel"},"finish_reason":"length"}]})"});
    EXPECT_EQ(events.back().at("type"), "response.incomplete");
    EXPECT_EQ(events.back().at("response").at("status"), "incomplete");
    EXPECT_EQ(events.back().at("response").at("output").at(0).at("status"), "incomplete");
}

TEST(ResponsesOfChat, ThatEndTooEarlyFail) {
    const auto cut = streamed({R"({"choices":[{"delta":{"content":"Hel"}}]})"});
    EXPECT_EQ(cut.back().at("type"), "response.failed");
    const auto failed = streamed({R"({"error":{"message":"out of memory"}})"});
    EXPECT_EQ(failed.back().at("response").at("error").at("message"), "out of memory");
    EXPECT_EQ(failed.back().at("response").at("status"), "failed");
}

TEST(ResponsesOfChat, ThatAreNoStreamAreOneDocument) {
    ResponsesOfChat answer = answer_to(R"({"max_output_tokens":7})");
    const json::value response = json::parse(answer.whole(
        R"({"id":"c1","choices":[{"message":{"content":"Hi","reasoning_content":"Hm.",
            "tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},
            "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2,
            "prompt_tokens_details":{"cached_tokens":4}}})"));
    EXPECT_EQ(response.at("id"), "resp_c1");
    EXPECT_EQ(response.at("status"), "completed");
    EXPECT_EQ(response.at("model"), "smol");
    EXPECT_EQ(response.at("max_output_tokens"), 7);
    ASSERT_EQ(response.at("output").as_array().size(), 3U);
    EXPECT_EQ(response.at("output").at(1).at("content").at(0).at("text"), "Hi");
    EXPECT_EQ(response.at("output").at(2).at("arguments"), "{}");
    EXPECT_EQ(response.at("usage").at("input_tokens_details").at("cached_tokens"), 4);
}

}  // namespace
}  // namespace drover::gateway::dialect
