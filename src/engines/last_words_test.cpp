#include "engines/last_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::engines {
namespace {

using testing::ElementsAre;

std::string last_words_of(std::string_view output) {
    LastWords words;
    words.add(output);
    return words.text();
}

TEST(LastWords, AreTheLastFourLines) {
    EXPECT_EQ(last_words_of("1\n2\n\n3\r\n4\n5\n"), "2 | 3 | 4 | 5");
    EXPECT_EQ(last_words_of("loading\nout of mem"), "loading | out of mem");
    EXPECT_EQ(last_words_of(""), "");
    EXPECT_EQ(last_words_of("\n\n"), "");
}

TEST(LastWords, NameTheCauseThatStoodLongBeforeTheEnd) {
    // As of vLLM, whose worker fails, and whose server then says "See root cause above".
    std::string output = "(EngineCore pid=1) ModuleNotFoundError: No module named 'flashinfer'\n";
    for (int frame = 0; frame < 100; ++frame) {
        output += "(APIServer pid=2)   File \"api_server.py\", line 1272, in wait_for_startup\n";
    }
    output += "1\n2\n3\nRuntimeError: See root cause above.\n";
    EXPECT_EQ(
        last_words_of(output),
        "(EngineCore pid=1) ModuleNotFoundError: No module named 'flashinfer' | ... | 1 | 2 | "
        "3 | RuntimeError: See root cause above.");
}

TEST(LastWords, JoinPieces) {
    LastWords words;
    words.add("error: no such");
    words.add(" file\nbye");
    EXPECT_EQ(words.text(), "error: no such file | bye");
}

TEST(LastWords, StayBoundedWithoutLineEnds) {
    LastWords words;
    for (int i = 0; i < 1000; ++i) {
        words.add(std::string(1000, 'x'));
    }
    EXPECT_LT(words.text().size(), 500U);
    words.add("\nthe end\n");
    EXPECT_EQ(words.text(), "the end");
}

TEST(LastWords, ForgetTheBrokenBeginning) {
    // The first line that is kept has lost its start and would mislead.
    LastWords words;
    words.add("first " + std::string(20'000, 'x') + "\nsecond\nthird\n");
    EXPECT_EQ(words.text(), "second | third");
}

TEST(Printable, KeepsTextAndNeutralisesTheRest) {
    EXPECT_EQ(printable("Größe 模型 😀", 100), "Größe 模型 😀");
    EXPECT_EQ(printable("\x1b[1;31merror\x1b[0m\tx", 100), "error x");
    EXPECT_EQ(printable(std::string_view("a\0b\x07\x7f", 5), 100), "a?b??");
    EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80\xc2\x9b", 100), "????????");
    EXPECT_EQ(printable("\xe6\xa8", 100), "??");
    EXPECT_EQ(printable("\x1b[", 100), "");
    EXPECT_EQ(printable("abcdef", 3), "abc...");
}

TEST(OutputLines, AreCutAndBounded) {
    OutputLines lines;
    EXPECT_THAT(lines.add("a\nb"), ElementsAre("a"));
    EXPECT_THAT(lines.add("c\r\n\nd\n"), ElementsAre("bc", "d"));
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(lines.add(std::string(1000, 'x')).empty());
    }
    EXPECT_THAT(lines.add("\n"), ElementsAre(std::string(400, 'x') + "..."));
}

}  // namespace
}  // namespace drover::engines
