#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/dialect/anthropic_answer.hpp"
#include "gateway/dialect/anthropic_request.hpp"

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

json::value translated(const char* request) {
    const auto body = openai_chat_of_anthropic(json::parse(request).get_object());
    EXPECT_TRUE(body.ok());
    return body.ok() ? json::value(*body) : json::value();
}

TEST(AnthropicRequest, BecomesAChatCompletion) {
    EXPECT_EQ(
        translated(R"({"model":"m","max_tokens":9,"system":[{"type":"text","text":"Be brief."}],
            "stop_sequences":["x"],"top_k":3,"stream":true,"thinking":{"type":"disabled"},
            "messages":[{"role":"user","content":"Hi"}]})"),
        json::parse(R"({"messages":[{"role":"system","content":"Be brief."},
            {"role":"user","content":"Hi"}],"max_tokens":9,"top_k":3,"stop":["x"],"stream":true,
            "stream_options":{"include_usage":true}})"));
}

TEST(AnthropicRequest, PutsResultsOfToolsIntoMessagesOfTheirOwn) {
    EXPECT_EQ(translated(R"({"max_tokens":1,"messages":[
            {"role":"assistant","content":[{"type":"thinking","thinking":"..."},
              {"type":"text","text":"Let me see."},
              {"type":"tool_use","id":"t1","name":"look","input":{"at":"x"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",
              "content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]},
              {"type":"text","text":"Well?"}]}]})"),
              json::parse(R"({"messages":[
            {"role":"assistant","content":"Let me see.","reasoning_content":"...","tool_calls":[{"id":"t1",
              "type":"function","function":{"name":"look","arguments":"{\"at\":\"x\"}"}}]},
            {"role":"tool","tool_call_id":"t1","content":"A\nB"},
            {"role":"user","content":"Well?"}],"max_tokens":1})"));
}

TEST(AnthropicRequest, OffersToolsAndShowsImages) {
    EXPECT_EQ(translated(R"({"max_tokens":1,"tools":[{"name":"f","description":"d",
              "input_schema":{"type":"object"}}],
            "tool_choice":{"type":"any","disable_parallel_tool_use":true},
            "messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64",
              "media_type":"image/png","data":"AAAA"}},{"type":"text","text":"What?"}]}]})"),
              json::parse(R"({"messages":[{"role":"user","content":[
              {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
              {"type":"text","text":"What?"}]}],"max_tokens":1,
            "tools":[{"type":"function","function":{"name":"f","description":"d",
              "parameters":{"type":"object"}}}],
            "tool_choice":"required","parallel_tool_calls":false})"));
}

TEST(AnthropicRequest, OffersTheOnlyToolThatMayBeCalled) {
    EXPECT_EQ(translated(R"({"max_tokens":1,"messages":[],"tools":[{"name":"f"},{"name":"g"}],
            "tool_choice":{"type":"tool","name":"g"},
            "thinking":{"type":"enabled","budget_tokens":64}})"),
              json::parse(R"({"messages":[],"max_tokens":1,"thinking_budget_tokens":64,
            "tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required"})"));
}

TEST(AnthropicRequest, SaysWhatCannotBeSaid) {
    for (const char* request :
         {R"({"messages":[{"role":"user","content":[{"type":"document"}]}]})",
          R"({"messages":[],"tools":[{"type":"web_search_20250305","name":"web_search"}]})",
          R"({"max_tokens":1})"}) {
        EXPECT_FALSE(openai_chat_of_anthropic(json::parse(request).get_object()).ok()) << request;
    }
}

/// The names of the events in a stream of Anthropic's.
std::vector<std::string> names_of(const std::string& stream) {
    std::vector<std::string> names;
    for (std::size_t at = stream.find("event: "); at != std::string::npos;
         at = stream.find("event: ", at + 1)) {
        names.push_back(stream.substr(at + 7, stream.find('\n', at) - at - 7));
    }
    return names;
}

/// A stream of chunks, cut at the worst places.
std::string streamed(const std::vector<std::string>& chunks) {
    AnthropicAnswer answer("m");
    std::string out;
    for (const std::string& chunk : chunks) {
        const std::string event = "data: " + chunk + "\n\n";
        answer.put(std::string_view(event).substr(0, 9), out);
        answer.put(std::string_view(event).substr(9), out);
    }
    answer.finish(out);
    return out;
}

TEST(AnthropicAnswer, OfATextHasTheEventsThatClientsWaitFor) {
    const std::string stream =
        streamed({R"({"id":"c1","choices":[{"delta":{"role":"assistant","content":"Hel"}}]})",
                  R"({"id":"c1","choices":[{"delta":{"content":"lo"}}]})",
                  R"({"id":"c1","choices":[{"delta":{},"finish_reason":"stop"}]})",
                  R"({"id":"c1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}})",
                  "[DONE]"});
    EXPECT_THAT(names_of(stream),
                ElementsAre("message_start",
                            "content_block_start",
                            "content_block_delta",
                            "content_block_delta",
                            "content_block_stop",
                            "message_delta",
                            "message_stop"));
    EXPECT_THAT(stream, HasSubstr(R"("text":"lo")"));
    EXPECT_THAT(stream, HasSubstr(R"("stop_reason":"end_turn")"));
    EXPECT_THAT(stream, HasSubstr(R"("usage":{"input_tokens":5,"output_tokens":2})"));
}

TEST(AnthropicAnswer, OfToolsHasABlockForEachCall) {
    const std::string stream = streamed(
        {R"({"choices":[{"delta":{"content":"Well"}}]})",
         R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f",)"
         R"("arguments":""}}]}}]})",
         R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]})",
         R"({"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g",)"
         R"("arguments":"{}"}}]},"finish_reason":"tool_calls"}]})"});
    EXPECT_THAT(names_of(stream),
                ElementsAre("message_start",
                            "content_block_start",
                            "content_block_delta",
                            "content_block_stop",
                            "content_block_start",
                            "content_block_delta",
                            "content_block_stop",
                            "content_block_start",
                            "content_block_delta",
                            "content_block_stop",
                            "message_delta",
                            "message_stop"));
    EXPECT_THAT(stream, HasSubstr(R"("stop_reason":"tool_use")"));
}

TEST(AnthropicAnswer, OfThoughtsHasABlockThatIsSigned) {
    const std::string stream = streamed(
        {R"({"choices":[{"delta":{"reasoning_content":"Hm."}}]})",
         R"({"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{)"
         R"("prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}})"});
    EXPECT_THAT(stream, HasSubstr(R"({"type":"thinking_delta","thinking":"Hm."})"));
    EXPECT_THAT(stream, HasSubstr(R"({"type":"signature_delta","signature":""})"));
    EXPECT_THAT(
        stream,
        HasSubstr(R"("usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":4})"));
}

TEST(AnthropicAnswer, ThatEndsTooEarlyEndsWithAnError) {
    EXPECT_EQ(names_of(streamed({R"({"choices":[{"delta":{"content":"Hel"}}]})"})).back(), "error");
    EXPECT_EQ(names_of(streamed({R"({"error":{"message":"out of memory"}})"})).back(), "error");
}

TEST(AnthropicAnswer, ThatIsNoStreamIsAMessage) {
    AnthropicAnswer answer("m");
    const json::value message = json::parse(answer.whole(
        R"({"id":"c1","choices":[{"message":{"content":"Hi","tool_calls":[{"id":"a",
            "function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"length"}],
            "usage":{"prompt_tokens":5,"completion_tokens":2}})"));
    EXPECT_EQ(message,
              json::parse(R"({"id":"msg_c1","type":"message","role":"assistant","model":"m",
            "content":[{"type":"text","text":"Hi"},
              {"type":"tool_use","id":"a","name":"f","input":{"x":1}}],
            "stop_reason":"max_tokens","stop_sequence":null,
            "usage":{"input_tokens":5,"output_tokens":2}})"));
}

}  // namespace
}  // namespace drover::gateway::dialect
