#include "gateway/dialect/ollama_models.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/dialect/ollama_embedding.hpp"

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::FloatEq;

control::ModelView smol() {
    return {.name = "smollm2",
            .file = "/models/smollm2.gguf",
            .size = Bytes(98'000'000),
            .architecture = "llama",
            .quantisation = "Q4_1",
            .parameters = 134'515'008,
            .context = 4096,
            .created = 1'700'000'000,
            .trained_context = 8192,
            .embedding_length = 576,
            .capabilities = {"completion", "tools"}};
}

TEST(OllamaName, GetsATagUnlessItHasOne) {
    EXPECT_EQ(ollama_name("smollm2"), "smollm2:latest");
    EXPECT_EQ(ollama_name("qwen3:8b"), "qwen3:8b");
    EXPECT_EQ(ollama_name("host:80/org/model"), "host:80/org/model:latest");
}

TEST(OllamaTags, ListsWhatCanBeServed) {
    control::ModelView broken = smol();
    broken.broken = "cut short";
    const json::value tags = json::parse(ollama_tags({smol(), broken}));
    ASSERT_EQ(tags.at("models").as_array().size(), 1U);
    const json::value& model = tags.at("models").at(0);
    EXPECT_EQ(model.at("name").as_string(), "smollm2:latest");
    EXPECT_EQ(model.at("modified_at").as_string(), "2023-11-14T22:13:20.000Z");
    EXPECT_EQ(model.at("digest").as_string().size(), 64U);
    EXPECT_EQ(
        json::serialize(model.at("details")),
        R"({"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"134.52M","quantization_level":"Q4_1","context_length":8192,"embedding_length":576})");
    EXPECT_EQ(json::serialize(model.at("capabilities")), R"(["completion","tools"])");
}

TEST(OllamaPs, ListsWhatIsReadyLongestStayingFirst) {
    control::ModelView other = smol();
    other.name = "other";
    const control::FleetView fleet{
        .budget = {},
        .instances = {{.model = "smollm2",
                       .state = "ready",
                       .bytes = Bytes(5),
                       .devices = {{"host", Bytes(2)}, {"GPU 0", Bytes(3)}},
                       .expires_at_ms = 9},
                      {.model = "other", .state = "ready", .bytes = Bytes(7)},
                      {.model = "smollm2", .state = "loading"}}};
    const json::value ps = json::parse(ollama_ps({smol(), other}, fleet, 0));
    ASSERT_EQ(ps.at("models").as_array().size(), 2U);
    EXPECT_EQ(ps.at("models").at(0).at("name").as_string(), "other:latest");
    EXPECT_EQ(ps.at("models").at(0).at("expires_at").as_string().subview(0, 2), "22");
    EXPECT_EQ(ps.at("models").at(1).at("expires_at").as_string(), "1970-01-01T00:00:00.009Z");
    EXPECT_EQ(ps.at("models").at(1).at("size").as_int64(), 5);
    EXPECT_EQ(ps.at("models").at(1).at("size_vram").as_int64(), 3);
    EXPECT_EQ(ps.at("models").at(0).at("size_vram").as_int64(), 0);
    EXPECT_EQ(ps.at("models").at(1).at("context_length").as_int64(), 4096);
}

TEST(OllamaShow, TellsWhatTheFileSays) {
    const control::ModelDescription description{
        .licence = "apache-2.0",
        .chat_template = "{{ messages }}",
        .metadata = {{"general.architecture", std::string("llama")},
                     {"general.name", std::string("hidden")},
                     {"llama.block_count", std::uint64_t{30}},
                     {"llama.heads", std::vector<double>{1, 2.5}},
                     {"odd\xff", true}},
        .tensors = {{.name = "output", .type = "Q4_1", .shape = {3, 4}}}};
    const json::value brief = json::parse(ollama_show(smol(), description, false));
    EXPECT_EQ(
        json::serialize(brief.at("model_info")),
        R"({"general.architecture":"llama","llama.block_count":30,"llama.heads":null,"odd?":true,"general.parameter_count":134515008})");
    EXPECT_EQ(brief.at("template").as_string(), "{{ messages }}");
    const json::value all = json::parse(ollama_show(smol(), description, true));
    EXPECT_EQ(json::serialize(all.at("model_info").at("llama.heads")), "[1,2.5E0]");
    EXPECT_EQ(json::serialize(all.at("tensors")),
              R"([{"name":"output","type":"Q4_1","shape":[3,4]}])");
}

TEST(HumanCount, IsOllamas) {
    EXPECT_EQ(human_count(134'515'008), "134.52M");
    EXPECT_EQ(human_count(7'000'000'000), "7B");
    EXPECT_EQ(human_count(1'100'000'000), "1.1B");
    EXPECT_EQ(human_count(999), "999");
}

TEST(Embeddings, AreCutAndScaledToLengthOne) {
    auto embeddings = read_embeddings(
        R"({"data":[{"embedding":[3,4,12]},{"embedding":[0,0,0]}],"usage":{"prompt_tokens":6}})");
    ASSERT_TRUE(embeddings.ok());
    EXPECT_EQ(embeddings->prompt_tokens, 6U);
    scale(*embeddings, 2);
    EXPECT_THAT(embeddings->vectors[0], ElementsAre(FloatEq(0.6F), FloatEq(0.8F)));
    EXPECT_THAT(embeddings->vectors[1], ElementsAre(0, 0));
    EXPECT_EQ(
        ollama_embed_answer("m", *embeddings, std::chrono::nanoseconds(9), {}),
        R"({"model":"m","embeddings":[[0.6,0.8],[0,0]],"total_duration":9,"prompt_eval_count":6})");
    EXPECT_EQ(ollama_embeddings_answer(*embeddings), R"({"embedding":[0.6,0.8]})");
}

TEST(Embeddings, AreNotReadFromGarbage) {
    for (const std::string_view body :
         {"", "{}", R"({"data":5})", R"({"data":[{}]})", R"({"data":[{"embedding":["x"]}]})"}) {
        EXPECT_EQ(read_embeddings(body).error().code, ErrorCode::engine_failed) << body;
    }
}

}  // namespace
}  // namespace drover::gateway::dialect
