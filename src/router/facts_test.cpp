#include "router/facts.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "router/features.hpp"

namespace drover::router {
namespace {

RequestFacts facts_of(std::string_view body, std::size_t slice = 1) {
    FactsReader reader;
    while (!body.empty()) {
        reader.put(body.substr(0, slice));
        body.remove_prefix(std::min(slice, body.size()));
    }
    return reader.finish();
}

TEST(Facts, AreTheLastUsersMessageOfAChat) {
    const RequestFacts facts =
        facts_of(R"({"model":"auto","messages":[{"role":"system","content":"Be brief."},)"
                 R"({"role":"user","content":"first"},{"role":"assistant","content":"yes"},)"
                 R"({"content":"second \"one\"","role":"user"}]})");
    EXPECT_EQ(facts.text, "second \"one\"");
    EXPECT_EQ(facts.messages, 4U);
    EXPECT_EQ(facts.bytes, 9U + 5U + 3U + 12U);
    EXPECT_FALSE(facts.tools);
    EXPECT_FALSE(facts.images);
}

TEST(Facts, ReadPartsAndSeeImagesInEveryDialect) {
    const std::string_view openai =
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"what is it"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]})";
    const std::string_view anthropic =
        R"({"messages":[{"role":"user","content":[{"type":"image","source":{"data":"AAAA"}},)"
        R"({"type":"text","text":"what is it"}]}]})";
    const std::string_view ollama =
        R"({"messages":[{"role":"user","content":"what is it","images":["AAAA"]}]})";
    const std::string_view responses =
        R"({"input":[{"role":"user","content":[{"type":"input_text","text":"what is it"},)"
        R"({"type":"input_image","image_url":"https://x/y.png"}]}]})";
    for (const std::string_view body : {openai, anthropic, ollama, responses}) {
        EXPECT_EQ(facts_of(body).text, "what is it") << body;
        EXPECT_TRUE(facts_of(body).images) << body;
        EXPECT_EQ(facts_of(body, 7).text, facts_of(body, 1000).text);
    }
    EXPECT_FALSE(facts_of(R"({"messages":[{"role":"user","content":"x","images":[]}]})").images);
}

TEST(Facts, SeeNoImagesWhereOnlyTheWordStands) {
    for (const std::string_view body :
         {R"({"tools":[{"function":{"parameters":{"properties":{"image_url":{"type":"image"}}}}}],)"
          R"("messages":[{"role":"user","content":"x"}]})",
          R"({"response_format":{"type":"json_schema","json_schema":{"schema":{"properties":)"
          R"({"image":{"type":"string"}}}}},"messages":[{"role":"user","content":"x"}]})",
          R"({"metadata":{"image":"a","images":["a"]},"messages":[{"role":"user","content":"x"}]})",
          R"({"messages":[{"role":"assistant","content":[{"type":"tool_use","input":)"
          R"({"image":"a","images":["a"],"content":[{"type":"image"}]}}]},)"
          R"({"role":"assistant","tool_calls":[{"function":{"arguments":{"image":"a"}}}]}]})"}) {
        EXPECT_FALSE(facts_of(body).images) << body;
    }
    // A tool may show one, and a generation of Ollama's has them at the top.
    EXPECT_TRUE(facts_of(R"({"messages":[{"role":"user","content":[{"type":"tool_result",)"
                         R"("content":[{"type":"image","source":{}}]}]}]})")
                    .images);
    EXPECT_TRUE(facts_of(R"({"prompt":"what is it","images":["AAAA"]})").images);
}

TEST(Facts, DoNotTakeAToolsResultForTheUsersWords) {
    const std::string_view result =
        R"({"content":[{"type":"text","text":"12 C"}],"type":"tool_result"})";
    const auto of = [&](std::string_view parts) {
        return facts_of(R"({"messages":[{"role":"user","content":"the weather?"},)"
                        R"({"role":"assistant","content":[{"type":"tool_use","input":{}}]},)"
                        R"({"role":"user","content":[)" +
                        std::string(parts) + "]}]}");
    };
    EXPECT_EQ(of(result).text, "the weather?");
    EXPECT_EQ(of(result).bytes, 12U + 4U);
    const std::string more = R"(,{"type":"text","text":"and tomorrow?"})";
    EXPECT_EQ(of(std::string(result) + more).text, "and tomorrow?");
}

TEST(Facts, SeeToolsThatAreOffered) {
    EXPECT_TRUE(facts_of(R"({"tools":[{"type":"function"}],"messages":[]})").tools);
    EXPECT_FALSE(facts_of(R"({"tools":[],"messages":[]})").tools);
}

TEST(Facts, KnowTheNamesOfTools) {
    const std::string_view body =
        R"({"tools":[{"type":"function","function":{"name":"look","parameters":{"properties":)"
        R"({"name":{"type":"string"}}}}},{"type":"function","function":{"name":"go"}}]})";
    for (const std::size_t slice : {1U, 5U, 1000U}) {
        EXPECT_EQ(facts_of(body, slice).tool_names, (std::vector<std::string>{"look", "go"}));
    }
    const std::string_view flat =
        R"({"tools":[{"name":"look","input_schema":{"type":"object"}},{"name":"go"}]})";
    EXPECT_EQ(facts_of(flat).tool_names, (std::vector<std::string>{"look", "go"}));
}

TEST(Facts, SeeThatJsonIsWanted) {
    for (const std::string_view body :
         {R"({"response_format":{"type":"json_object"}})",
          R"({"response_format":{"type":"json_schema","json_schema":{"schema":{}}}})",
          R"({"format":"json"})",
          R"({"text":{"format":{"type":"json_schema","schema":{"type":"object"}}}})",
          R"({"format":{"type":"object","properties":{}}})"}) {
        EXPECT_TRUE(facts_of(body).json) << body;
        EXPECT_TRUE(facts_of(body, 1000).json) << body;
    }
    for (const std::string_view body : {R"({"response_format":{"type":"text"}})",
                                        R"({"format":""})",
                                        R"({"format":null})",
                                        R"({"text":"json","type":"json"})",
                                        R"({"text":{"format":{"type":"text"}}})",
                                        R"({"messages":[{"role":"user","content":"json"}]})"}) {
        EXPECT_FALSE(facts_of(body).json) << body;
    }
}

TEST(Facts, SeeThatLogProbabilitiesAreWanted) {
    EXPECT_TRUE(facts_of(R"({"logprobs":true})").logprobs);
    EXPECT_TRUE(facts_of(R"({"logprobs":3})").logprobs);
    for (const std::string_view body : {R"({"logprobs":false})",
                                        R"({"logprobs":0})",
                                        R"({"logprobs":null,"stream":true})",
                                        "{}"}) {
        EXPECT_FALSE(facts_of(body).logprobs) << body;
    }
}

TEST(Facts, ReadPromptsAndInputs) {
    EXPECT_EQ(facts_of(R"({"prompt":"once upon"})").text, "once upon");
    EXPECT_EQ(facts_of(R"({"input":"embed me"})").text, "embed me");
    EXPECT_EQ(facts_of(R"({"input":["a","b"]})").text, "ab");
    EXPECT_EQ(facts_of(R"({"query":"which","documents":["long text"]})").text, "which");
}

TEST(Facts, KnowAConversationByItsBeginning) {
    const auto of = [](std::string_view first, std::string_view rest) {
        return facts_of(std::string(R"({"messages":[{"role":"user","content":")") +
                        std::string(first) + "\"}" + std::string(rest) + "]}")
            .conversation;
    };
    const std::string_view more =
        R"(,{"role":"assistant","content":"a"},{"role":"user","content":"b"})";
    EXPECT_EQ(of("hello", ""), of("hello", more));
    EXPECT_NE(of("hello", ""), of("goodbye", ""));
}

TEST(Facts, BoundWhatTheyKeep) {
    const std::string body = R"({"messages":[{"role":"user","content":"begin )" +
                             std::string(5'000'000, 'x') + R"( end"}]})";
    const RequestFacts facts = facts_of(body, 65536);
    EXPECT_LE(facts.text.size(), 2 * (kTextHead + kTextTail));
    EXPECT_TRUE(facts.text.starts_with("begin"));
    EXPECT_TRUE(facts.text.ends_with("end"));
    EXPECT_EQ(facts.bytes, 5'000'010U);
}

TEST(Facts, OfABrokenBodyAreWhatCameBefore) {
    EXPECT_EQ(facts_of(R"({"prompt":"half)").bytes, 4U);
    EXPECT_EQ(facts_of("[1,2]").messages, 0U);
    EXPECT_EQ(facts_of("").text, "");
}

}  // namespace
}  // namespace drover::router
