#include "gateway/model_rewrite.hpp"

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

TEST(ModelRewrite, ChangesTheNameAndNothingElse) {
    EXPECT_EQ(with_model(R"({ "seed": 18446744073709551615,"model" : "auto" , "x": 1.50})", "a b"),
              R"({ "seed": 18446744073709551615,"model" : "a b" , "x": 1.50})");
}

TEST(ModelRewrite, LeavesNamesakesAlone) {
    EXPECT_EQ(with_model(
                  R"({"m":{"model":"auto"},"l":["model","auto"],"t":"model","model":"auto"})", "b"),
              R"({"m":{"model":"auto"},"l":["model","auto"],"t":"model","model":"b"})");
}

TEST(ModelRewrite, UnderstandsEscapes) {
    EXPECT_EQ(with_model(R"({"s":"a\"model\":\\","mod\u0065l":"au\"to"})", "b"),
              R"({"s":"a\"model\":\\","mod\u0065l":"b"})");
    EXPECT_EQ(with_model(R"({"model":"auto"})", "a\"b"), R"({"model":"a\"b"})");
}

TEST(ModelRewrite, ChangesTheOneThatCounts) {
    EXPECT_EQ(with_model(R"({"model":"x","model":"auto"})", "b"), R"({"model":"x","model":"b"})");
}

TEST(ModelRewrite, FindsNothingWhereThereIsNothing) {
    EXPECT_EQ(with_model(R"({"prompt":"model"})", "b"), std::nullopt);
    EXPECT_EQ(with_model(R"({"model":1})", "b"), std::nullopt);
    EXPECT_EQ(with_model("", "b"), std::nullopt);
    EXPECT_EQ(with_model(R"({"model":")", "b").has_value(), true);
}

}  // namespace
}  // namespace drover::gateway
