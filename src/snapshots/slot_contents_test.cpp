#include "snapshots/slot_contents.hpp"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace drover::snapshots {
namespace {

/// `tokens` of conversation `which`; two of them begin alike with `shared` tokens.
TokenChain conversation(int which, std::size_t tokens, std::size_t shared = 0) {
    std::vector<std::int32_t> all(tokens);
    std::iota(all.begin(), all.end(), 0);
    for (std::size_t i = shared; i < tokens; ++i) {
        all[i] += which * 1'000'000;
    }
    return TokenChain(all);
}

TEST(SlotContents, WhatWasPutIsThereUntilTheSlotServesAnother) {
    SlotContents contents;
    contents.put(0, std::nullopt, conversation(1, 320));
    EXPECT_EQ(contents.common(conversation(1, 400)), 320U);
    EXPECT_TRUE(contents.is_untouched(0, std::nullopt));
    contents.expect(conversation(2, 200));
    contents.look(std::vector<SlotLook>{{.id = 0, .task = 7, .tokens = 200}});
    EXPECT_EQ(contents.common(conversation(1, 400)), 0U);
    EXPECT_EQ(contents.common(conversation(2, 400)), 192U);
    EXPECT_FALSE(contents.is_untouched(0, 7));
}

TEST(SlotContents, RequestsAreToldApartByTheirOrderAndLength) {
    SlotContents contents;
    contents.expect(conversation(1, 320));
    contents.expect(conversation(2, 640));
    contents.look(std::vector<SlotLook>{{.id = 0, .task = 9, .tokens = 700},
                                        {.id = 1, .task = 2, .tokens = 390}});
    EXPECT_EQ(contents.common(conversation(1, 999)), 320U);
    EXPECT_EQ(contents.common(conversation(2, 999)), 640U);
    contents.expect(conversation(3, 96));
    contents.look(std::vector<SlotLook>{{.id = 0, .task = 13, .tokens = 96},
                                        {.id = 1, .task = 2, .tokens = 390}});
    EXPECT_EQ(contents.common(conversation(1, 999)), 320U);
    EXPECT_EQ(contents.common(conversation(2, 999)), 0U);
}

TEST(SlotContents, OfSeveralInOneSlotTheLastIsThere) {
    SlotContents contents;
    contents.expect(conversation(1, 320));
    contents.expect(conversation(2, 320));
    contents.look(std::vector<SlotLook>{{.id = 0, .task = 5, .tokens = 330}});
    EXPECT_EQ(contents.common(conversation(1, 999)), 0U);
    EXPECT_EQ(contents.common(conversation(2, 999)), 320U);
}

TEST(SlotContents, ARequestOnItsWayCountsAsThere) {
    SlotContents contents;
    contents.expect(conversation(1, 320));
    EXPECT_EQ(contents.common(conversation(1, 999)), 320U);
    contents.look(std::vector<SlotLook>{{.id = 0, .task = 1, .tokens = 320, .busy = true}});
    EXPECT_EQ(contents.common(conversation(1, 999)), 320U);
}

TEST(SlotContents, WhatNobodyHasSeenIsUnknown) {
    SlotContents contents;
    contents.put(0, 4, conversation(1, 320));
    contents.look(std::vector<SlotLook>{{.id = 0, .task = 5, .tokens = 64}});
    EXPECT_EQ(contents.common(conversation(1, 400)), 0U);
}

TEST(SlotContents, ASharedBeginningIsAllThatIsCommon) {
    SlotContents contents;
    contents.expect(conversation(1, 320, 160));
    EXPECT_EQ(contents.common(conversation(2, 320, 160)), 160U);
}

TEST(SlotContents, RequestsThatNeverCameAreForgotten) {
    SlotContents contents;
    contents.expect(conversation(1, 320));
    for (int i = 2; i < 20; ++i) {
        contents.expect(conversation(i, 320));
    }
    EXPECT_EQ(contents.common(conversation(1, 320)), 0U);
}

}  // namespace
}  // namespace drover::snapshots
