#include "app/placing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Devices two_gpus() {
    Devices devices{.budget = memory::Footprint::host(64_GiB)};
    for (const std::uint32_t index : {0U, 3U}) {
        const std::size_t slot = devices.gpus.size() + 1;
        devices.gpus.push_back({.slot = slot,
                                .index = index,
                                .uuid = "GPU-" + std::to_string(index) + "ab",
                                .name = "L4",
                                .total = 24_GiB,
                                .budget = 20_GiB});
        devices.budget[slot] = 20_GiB;
    }
    return devices;
}

engines::ResolvedSettings on(std::vector<std::string> gpus) {
    engines::ResolvedSettings settings;
    settings.device.gpus = std::move(gpus);
    return settings;
}

TEST(WishOf, IsEveryGpuAndTheHostUnlessSomethingIsSaid) {
    const auto wish = wish_of({}, two_gpus(), GpuUse::all);
    ASSERT_THAT(wish->layout.gpus, SizeIs(2));
    EXPECT_EQ(wish->layout.gpus[1].device, 2U);
    EXPECT_TRUE(wish->layout.host && wish->tells);
    EXPECT_FALSE(wish->layout.all_gpus || wish->layout.whole);
    engines::ResolvedSettings whole;
    whole.gpu_layers.all = true;
    EXPECT_TRUE(wish_of(whole, two_gpus(), GpuUse::all)->layout.whole);
    EXPECT_FALSE(wish_of(whole, two_gpus(), GpuUse::all)->layout.host);
}

TEST(WishOf, TakesNoGpuThatHasNoBudget) {
    Devices devices = two_gpus();
    devices.gpus[0].budget = Bytes(0);
    EXPECT_THAT(wish_of({}, devices, GpuUse::all)->gpus, SizeIs(1));
}

TEST(WishOf, FindsGpusByNumberAndUuid) {
    const auto wish = wish_of(on({"3", "GPU-0a"}), two_gpus(), GpuUse::all);
    ASSERT_THAT(wish->gpus, SizeIs(2));
    EXPECT_EQ(wish->gpus[0].index, 3U);
    EXPECT_TRUE(wish->layout.all_gpus);
    EXPECT_FALSE(wish->layout.host);
    const auto none = wish_of(on({"1"}), two_gpus(), GpuUse::all);
    EXPECT_THAT(none.error().message,
                HasSubstr("there is no GPU 1; there are GPU 0 (L4, GPU-0ab), GPU 3"));
    EXPECT_THAT(wish_of(on({"0"}), {}, GpuUse::all).error().message, HasSubstr("there is none"));
}

TEST(WishOf, LeavesGpusToEnginesThatCanUseThem) {
    EXPECT_THAT(wish_of({}, two_gpus(), GpuUse::none)->gpus, SizeIs(0));
    EXPECT_FALSE(wish_of({}, two_gpus(), GpuUse::none)->tells);
    EXPECT_THAT(wish_of(on({"0"}), two_gpus(), GpuUse::none).error().message,
                HasSubstr("built for CUDA"));
    EXPECT_THAT(wish_of({}, two_gpus(), GpuUse::if_asked)->gpus, SizeIs(0));
    EXPECT_THAT(wish_of(on({"0"}), two_gpus(), GpuUse::if_asked)->gpus, SizeIs(1));
    engines::ResolvedSettings host;
    host.device.host = true;
    EXPECT_TRUE(wish_of(host, two_gpus(), GpuUse::all)->tells);
    EXPECT_THAT(wish_of(host, two_gpus(), GpuUse::all)->gpus, SizeIs(0));
}

TEST(Placed, TellsTheEngineItsGpusAndItsShareOfThem) {
    const Wish wish = wish_of({}, two_gpus(), GpuUse::all).value();
    memory::Layout layout{.gpus = {{1, 20}}, .whole = false, .grade = 2};
    layout.footprint = memory::Footprint::host(2_GiB);
    layout.footprint[2] = 12_GiB;
    const Placed one = placed(layout, wish, 33);
    EXPECT_EQ(one.traits.where, "GPU 3 and host (20 of 33 layers)");
    EXPECT_THAT(one.traits.slots, ElementsAre(0U, 2U));
    EXPECT_EQ(one.placement.grade, 2U);
    ASSERT_TRUE(one.devices.has_value());
    EXPECT_FALSE(one.devices->whole);
    EXPECT_EQ(one.devices->gpus[0].uuid, "GPU-3ab");
    EXPECT_EQ(one.devices->gpus[0].layers, 20U);
    EXPECT_DOUBLE_EQ(one.devices->gpus[0].share, 0.5);
    EXPECT_FALSE(placed({}, {}, 33).devices.has_value());
}

}  // namespace
}  // namespace drover::app
