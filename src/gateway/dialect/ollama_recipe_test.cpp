#include "gateway/dialect/ollama_recipe.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;

std::string applied(std::string_view request, OllamaCall call, const models::Recipe& recipe) {
    json::object object =
        json::parse(json::string_view(request.data(), request.size())).get_object();
    apply_recipe(object, call, recipe);
    return json::serialize(object);
}

TEST(OllamaRecipe, GoesBeforeAConversationThatHasNoSystemPromptOfItsOwn) {
    models::Recipe recipe;
    recipe.system = "Be brief.";
    recipe.messages = R"([{"role":"user","content":"1"}])";
    EXPECT_EQ(applied(R"({"messages":[{"role":"user","content":"2"}]})", OllamaCall::chat, recipe),
              R"({"messages":[{"role":"system","content":"Be brief."},)"
              R"({"role":"user","content":"1"},{"role":"user","content":"2"}]})");
    recipe.messages.clear();
    const std::string own = R"({"messages":[{"role":"system","content":"Mine."}]})";
    EXPECT_EQ(applied(own, OllamaCall::chat, recipe), own);
    EXPECT_EQ(applied(R"({"messages":[]})", OllamaCall::chat, recipe), R"({"messages":[]})");
    EXPECT_EQ(applied(R"({"prompt":"x"})", OllamaCall::generate, recipe),
              R"({"prompt":"x","system":"Be brief."})");
    const std::string raw = R"({"prompt":"x","raw":true})";
    EXPECT_EQ(applied(raw, OllamaCall::generate, recipe), raw);
}

TEST(OllamaRecipe, GivesParametersThatTheRequestDoesNotGive) {
    models::Recipe recipe;
    recipe.parameters = R"({"temperature":0.1,"stop":["x"]})";
    EXPECT_EQ(applied(R"({"options":{"temperature":1}})", OllamaCall::generate, recipe),
              R"({"options":{"temperature":1,"stop":["x"]}})");
    EXPECT_EQ(applied(R"({"options":7})", OllamaCall::generate, recipe), R"({"options":7})");
    recipe.parameters = "no JSON";
    EXPECT_EQ(applied(R"({"a":1})", OllamaCall::generate, recipe), R"({"a":1})");
}

}  // namespace
}  // namespace drover::gateway::dialect
