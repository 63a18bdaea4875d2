#include "gateway/dialect/ollama_request.hpp"

#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

json::object object(std::string_view text) {
    return json::parse(text).as_object();
}

std::string text(const json::value& value) {
    return json::serialize(value);
}

std::string complaint_about_chat(std::string_view request) {
    const auto chat = ollama_chat(object(request));
    return chat.ok() ? "" : chat.error().message;
}

TEST(OllamaChat, BecomesAStreamedChatCompletion) {
    const auto chat =
        ollama_chat(object(R"({"model": "m", "messages": [{"role": "User", "content": "Hi"}]})"));
    ASSERT_TRUE(chat.ok());
    EXPECT_EQ(chat->path, "/v1/chat/completions");
    EXPECT_TRUE(chat->stream);
    EXPECT_EQ(text(chat->body.at("messages")), R"([{"role":"user","content":"Hi"}])");
    EXPECT_EQ(text(chat->body.at("stream")), "true");
    EXPECT_EQ(text(chat->body.at("stream_options")), R"({"include_usage":true})");
    EXPECT_FALSE(chat->body.contains("model"));
}

TEST(OllamaChat, TakesOllamasDefaultsWhereTheEnginesDiffer) {
    const auto chat = ollama_chat(object(R"({"messages": []})"));
    ASSERT_TRUE(chat.ok());
    EXPECT_DOUBLE_EQ(chat->body.at("top_p").as_double(), 0.9);
    EXPECT_DOUBLE_EQ(chat->body.at("min_p").as_double(), 0);
    EXPECT_EQ(chat->body.at("n_predict").as_int64(), -1);
}

TEST(OllamaChat, PassesOptionsOnUnderTheEnginesNames) {
    const auto chat = ollama_chat(object(
        R"({"messages": [], "options": {"num_predict": 7, "temperature": 0, "seed": 42.0,
            "stop": ["a", "b"], "repeat_penalty": 1.1, "mirostat": 2, "num_ctx": 8192,
            "unknown": true, "top_k": null}})"));
    ASSERT_TRUE(chat.ok());
    EXPECT_EQ(chat->body.at("n_predict").as_int64(), 7);
    EXPECT_DOUBLE_EQ(chat->body.at("temperature").as_double(), 0);
    EXPECT_EQ(chat->body.at("seed").as_int64(), 42);
    EXPECT_EQ(text(chat->body.at("stop")), R"(["a","b"])");
    EXPECT_DOUBLE_EQ(chat->body.at("repeat_penalty").as_double(), 1.1);
    EXPECT_EQ(chat->body.at("mirostat").as_int64(), 2);
    EXPECT_EQ(chat->body.at("top_k").as_int64(), 40);
    EXPECT_FALSE(chat->body.contains("num_ctx"));
    EXPECT_FALSE(chat->body.contains("unknown"));
}

TEST(OllamaChat, GivesToolCallsTheirArgumentsAsText) {
    const auto chat = ollama_chat(object(
        R"({"messages": [{"role": "assistant", "content": "", "tool_calls":
               [{"function": {"name": "weather", "arguments": {"city": "Paris", "days": 2}}}]},
            {"role": "tool", "content": "sunny", "tool_name": "weather", "tool_call_id": "c1"}],
            "tools": [{"type": "function", "function": {"name": "weather"}}]})"));
    ASSERT_TRUE(chat.ok());
    EXPECT_EQ(
        text(chat->body.at("messages").at(0).at("tool_calls")),
        R"([{"type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\",\"days\":2}"},"id":"call_0"}])");
    EXPECT_EQ(text(chat->body.at("messages").at(1)),
              R"({"role":"tool","content":"sunny","name":"weather","tool_call_id":"c1"})");
    EXPECT_EQ(text(chat->body.at("tools")),
              R"([{"type":"function","function":{"name":"weather"}}])");
    EXPECT_TRUE(chat->uses_tools);
}

TEST(OllamaChat, TurnsImagesIntoDataUrlsAndSoundsIntoAudio) {
    const auto chat = ollama_chat(object(
        R"({"messages": [{"role": "user", "content": "See:", "images":
            ["iVBORw0KGgoAAAA=", "/9j/4AAQ", "data:image/webp;base64,UklGRg==",
             "UklGRiQIAABXQVZFZm10IA=="]}]})"));
    ASSERT_TRUE(chat.ok());
    const json::array& parts = chat->body.at("messages").at(0).at("content").as_array();
    ASSERT_EQ(parts.size(), 5U);
    EXPECT_EQ(text(parts[0]), R"({"type":"text","text":"See:"})");
    EXPECT_EQ(parts[1].at("image_url").at("url").as_string(),
              "data:image/png;base64,iVBORw0KGgoAAAA=");
    EXPECT_EQ(parts[2].at("image_url").at("url").as_string(), "data:image/jpeg;base64,/9j/4AAQ");
    EXPECT_EQ(parts[3].at("image_url").at("url").as_string(), "data:image/webp;base64,UklGRg==");
    EXPECT_EQ(text(parts[4].at("input_audio").at("format")), "\"wav\"");
}

TEST(OllamaChat, KnowsBothFormsOfFormat) {
    const auto any = ollama_chat(object(R"({"messages": [], "format": "json"})"));
    ASSERT_TRUE(any.ok());
    EXPECT_EQ(text(any->body.at("response_format")), R"({"type":"json_object"})");
    const auto schema = ollama_chat(object(R"({"messages": [], "format": {"type": "object"}})"));
    ASSERT_TRUE(schema.ok());
    EXPECT_EQ(text(schema->body.at("response_format").at("json_schema").at("schema")),
              R"({"type":"object"})");
    EXPECT_FALSE(
        ollama_chat(object(R"({"messages": [], "format": ""})"))->body.contains("response_format"));
}

TEST(OllamaChat, HandsThinkingToTheTemplate) {
    const auto level = ollama_chat(object(R"({"messages": [], "think": "high"})"));
    ASSERT_TRUE(level.ok());
    EXPECT_TRUE(level->thinks);
    EXPECT_EQ(text(level->body.at("chat_template_kwargs")),
              R"({"enable_thinking":true,"reasoning_effort":"high"})");
    const auto off = ollama_chat(object(R"({"messages": [], "think": false})"));
    EXPECT_FALSE(off->thinks);
    EXPECT_EQ(text(off->body.at("chat_template_kwargs")), R"({"enable_thinking":false})");
    EXPECT_FALSE(ollama_chat(object(R"({"messages": []})"))->body.contains("chat_template_kwargs"));
}

TEST(OllamaChat, NamesTheMemberThatIsWrong) {
    const std::pair<const char*, const char*> wrong[] = {
        {R"({"messages": "hi"})", "\"messages\""},
        {R"({"messages": [1]})", "\"messages[0]\""},
        {R"({"messages": [{"content": "x"}]})", "\"messages[0].role\""},
        {R"({"messages": [{"role": "user", "content": []}]})", "\"messages[0].content\""},
        {R"({"messages": [{"role": "user", "images": ["no base64!"]}]})",
         "\"messages[0].images[0]\""},
        {R"({"messages": [{"role": "user", "tool_calls": [{}]}]})",
         "\"messages[0].tool_calls[0].function\""},
        {R"({"messages": [], "options": 5})", "\"options\""},
        {R"({"messages": [], "options": {"temperature": "hot"}})", "\"options.temperature\""},
        {R"({"messages": [], "options": {"num_predict": 1.5}})", "\"options.num_predict\""},
        {R"({"messages": [], "options": {"stop": [1]}})", "\"options.stop\""},
        {R"({"messages": [], "options": {"num_ctx": "many"}})", "\"options.num_ctx\""},
        {R"({"messages": [], "stream": "yes"})", "\"stream\""},
        {R"({"messages": [], "format": 1})", "\"format\""},
        {R"({"messages": [], "format": "yaml"})", "\"format\""},
        {R"({"messages": [], "think": "much"})", "invalid think value: \"much\""},
        {R"({"messages": [], "think": 1})", "\"think\""},
        {R"({"messages": [], "tools": {}})", "\"tools\""},
        {R"({"messages": [], "tools": [7]})", "\"tools[0]\""},
        {R"({"messages": [], "top_logprobs": 21})", "top_logprobs must be between 0 and 20"},
    };
    for (const auto& [request, name] : wrong) {
        EXPECT_THAT(complaint_about_chat(request), HasSubstr(name)) << request;
    }
}

TEST(OllamaChat, DropsTheOldestButNeitherTheSystemNorTheLast) {
    auto chat = ollama_chat(object(
        R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "1"},
            {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}]})"));
    ASSERT_TRUE(chat.ok());
    EXPECT_TRUE(drop_oldest_message(chat->body));
    EXPECT_TRUE(drop_oldest_message(chat->body));
    EXPECT_EQ(text(chat->body.at("messages")),
              R"([{"role":"system","content":"s"},{"role":"user","content":"3"}])");
    EXPECT_FALSE(drop_oldest_message(chat->body));
}

TEST(OllamaGenerate, IsAChatWithASystemAndAUser) {
    const auto generation =
        ollama_generate(object(R"({"prompt": "Why?", "system": "Be brief.", "stream": false})"));
    ASSERT_TRUE(generation.ok());
    EXPECT_EQ(generation->path, "/v1/chat/completions");
    EXPECT_FALSE(generation->stream);
    EXPECT_TRUE(generation->wants_context);
    EXPECT_EQ(text(generation->body.at("messages")),
              R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}])");
}

TEST(OllamaGenerate, SendsARawPromptAsItIs) {
    const auto generation = ollama_generate(
        object(R"({"prompt": "<s>Why?", "raw": true, "format": "json", "logprobs": true})"));
    ASSERT_TRUE(generation.ok());
    EXPECT_EQ(generation->path, "/v1/completions");
    EXPECT_EQ(text(generation->body.at("prompt")), R"("<s>Why?")");
    EXPECT_EQ(text(generation->body.at("json_schema")), "{}");
    EXPECT_EQ(generation->body.at("logprobs").as_int64(), 1);
    EXPECT_FALSE(generation->wants_context);
}

TEST(OllamaGenerate, FillsInBeforeASuffix) {
    const auto generation = ollama_generate(object(R"({"prompt": "a", "suffix": "b"})"));
    ASSERT_TRUE(generation.ok());
    EXPECT_EQ(generation->path, "/infill");
    EXPECT_EQ(text(generation->body.at("input_prefix")), R"("a")");
    EXPECT_EQ(text(generation->body.at("input_suffix")), R"("b")");
}

TEST(OllamaGenerate, ContinuesAContext) {
    const auto generation = ollama_generate(object(R"({"prompt": "More", "context": [1, 2]})"));
    ASSERT_TRUE(generation.ok());
    EXPECT_EQ(generation->path, "/v1/completions");
    ASSERT_TRUE(generation->context.has_value());
    EXPECT_EQ(text(*generation->context), "[1,2]");
    const auto wrong = ollama_generate(object(R"({"prompt": "x", "context": [-1]})"));
    EXPECT_THAT(wrong.error().message, HasSubstr("\"context\""));
}

TEST(OllamaGenerate, RefusesWhatRawCannotHave) {
    const auto both = ollama_generate(object(R"({"prompt": "x", "raw": true, "system": "s"})"));
    EXPECT_EQ(both.error().message, "raw mode does not support template, system, or context");
    const auto pattern = ollama_generate(object(R"({"prompt": "x", "template": "{{ .Prompt }}"})"));
    EXPECT_THAT(pattern.error().message, HasSubstr("\"template\""));
    const auto image =
        ollama_generate(object(R"({"prompt": "x", "raw": true, "images": ["QQ=="]})"));
    EXPECT_THAT(image.error().message, HasSubstr("\"images\""));
}

TEST(OllamaRequest, KnowsWhenThereIsNothingToGenerate) {
    EXPECT_TRUE(is_empty(OllamaCall::chat, object(R"({"messages": []})")));
    EXPECT_TRUE(is_empty(OllamaCall::chat, object("{}")));
    EXPECT_TRUE(is_empty(OllamaCall::generate, object(R"({"prompt": ""})")));
    EXPECT_TRUE(is_empty(OllamaCall::embed, object(R"({"input": null})")));
    EXPECT_FALSE(is_empty(OllamaCall::generate, object(R"({"prompt": "x"})")));
}

TEST(OllamaEmbed, TakesOneTextOrSeveral) {
    EXPECT_EQ(ollama_embed(OllamaCall::embed, object(R"({"input": "a"})"))->input,
              std::vector<std::string>{"a"});
    const auto several = ollama_embed(
        OllamaCall::embed, object(R"({"input": ["a", "b"], "dimensions": 8, "truncate": false})"));
    ASSERT_TRUE(several.ok());
    EXPECT_EQ(several->input.size(), 2U);
    EXPECT_EQ(several->dimensions, 8U);
    EXPECT_FALSE(several->truncate);
    EXPECT_EQ(ollama_embed(OllamaCall::embeddings, object(R"({"prompt": "p"})"))->input,
              std::vector<std::string>{"p"});
    EXPECT_THAT(ollama_embed(OllamaCall::embed, object(R"({"input": ["a", 1]})")).error().message,
                HasSubstr("\"input[1]\""));
    EXPECT_FALSE(ollama_embed(OllamaCall::embed, object(R"({"input": 5})")).ok());
    EXPECT_FALSE(
        ollama_embed(OllamaCall::embed, object(R"({"input": "a", "dimensions": -1})")).ok());
}

}  // namespace
}  // namespace drover::gateway::dialect
