#include "memory/placement.hpp"

#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "memory/scheduler.hpp"

namespace drover::memory {
namespace {

/// Eight layers and an output of 1 GiB each, on the host half as much again.
LayerSizes nine_layers() {
    LayerSizes sizes;
    sizes.layers.assign(9, {1_GiB, 1536_MiB});
    sizes.host = 2_GiB;
    sizes.host_growth = 1_GiB;
    sizes.gpu = 1_GiB;
    sizes.gpu_growth = 512_MiB;
    sizes.all_on_host = 15_GiB;
    sizes.all_on_host_growth = 1_GiB;
    return sizes;
}

struct Machine {
    PlacementWish wish;
    Footprint budget;
};

/// GiB on the host and on each GPU.
Machine machine(std::int64_t host, const std::vector<std::int64_t>& gpus) {
    Machine machine;
    machine.budget[kHostDevice] = 1_GiB * host;
    for (std::size_t i = 0; i < gpus.size(); ++i) {
        machine.budget[i + 1] = 1_GiB * gpus[i];
        machine.wish.gpus.push_back({i + 1, 1_GiB * gpus[i]});
    }
    return machine;
}

/// "0 gpu0:9", for each layout: its grade, and the layers on each GPU.
std::vector<std::string> words(const std::vector<Layout>& layouts) {
    std::vector<std::string> words;
    for (const Layout& layout : layouts) {
        std::string text = std::to_string(layout.grade);
        for (const GpuShare& share : layout.gpus) {
            text += " gpu" + std::to_string(share.gpu) + ":" + std::to_string(share.layers);
        }
        words.push_back(text + (layout.gpus.empty() ? " host" : layout.whole ? "" : " and host"));
    }
    return words;
}

using Words = std::vector<std::string>;

TEST(LayOut, IsOnTheHostWithoutGpus) {
    const auto layouts = lay_out(nine_layers(), {}, Footprint::host(64_GiB));
    EXPECT_EQ(words(layouts), (Words{"0 host"}));
    EXPECT_EQ(layouts[0].footprint, Footprint::host(15_GiB));
    EXPECT_EQ(layouts[0].growth, Footprint::host(1_GiB));
}

TEST(LayOut, PrefersOneGpuThenMoreThenAPartOnTheHost) {
    const auto [wish, budget] = machine(64, {12, 12});
    const auto layouts = lay_out(nine_layers(), wish, budget);
    EXPECT_EQ(words(layouts),
              (Words{"0 gpu0:9",
                     "0 gpu1:9",
                     "1 gpu0:5 gpu1:4",
                     "2 gpu0:4 gpu1:4 and host",
                     "3 gpu0:3 gpu1:3 and host",
                     "4 gpu0:2 gpu1:2 and host",
                     "5 gpu0:1 gpu1:1 and host",
                     "6 host"}));
    EXPECT_EQ(layouts[1].footprint[2], 10_GiB);
    EXPECT_EQ(layouts[1].footprint[1], Bytes(0));
    EXPECT_EQ(layouts[1].footprint[kHostDevice], 2_GiB);
    EXPECT_EQ(layouts[1].growth[2], 512_MiB);
    EXPECT_EQ(layouts[3].footprint[1], 5_GiB);
    EXPECT_EQ(layouts[3].footprint[kHostDevice], 2_GiB + 1536_MiB);
}

TEST(LayOut, SplitsOverAsFewAsHoldItInProportionToTheirBudgets) {
    const auto [wish, budget] = machine(1'000, {9, 5, 5});
    const auto layouts = lay_out(nine_layers(), wish, budget);
    // Two suffice: 8 + 4 GiB are left for layers.
    EXPECT_EQ(words(layouts)[0], "0 gpu0:6 gpu1:3");
    EXPECT_EQ(words(layouts)[1], "0 gpu0:6 gpu2:3");
    EXPECT_EQ(words(layouts)[2], "1 gpu0:5 gpu1:2 gpu2:2");
    for (const Layout& layout : layouts) {
        EXPECT_TRUE(layout.footprint.fits(budget));
    }
}

TEST(LayOut, PutsTheFirstLayersOnTheHostWhenTheGpuIsTooSmall) {
    const auto [wish, budget] = machine(64, {5});
    EXPECT_EQ(words(lay_out(nine_layers(), wish, budget)),
              (Words{"0 gpu0:4 and host",
                     "1 gpu0:3 and host",
                     "2 gpu0:2 and host",
                     "3 gpu0:1 and host",
                     "4 host"}));
}

TEST(LayOut, KeepsToWhatIsWished) {
    auto [wish, budget] = machine(64, {12, 12});
    wish.whole = true;
    wish.host = false;
    EXPECT_EQ(words(lay_out(nine_layers(), wish, budget)),
              (Words{"0 gpu0:9", "0 gpu1:9", "1 gpu0:5 gpu1:4"}));
    wish.all_gpus = true;
    EXPECT_EQ(words(lay_out(nine_layers(), wish, budget)), (Words{"0 gpu0:5 gpu1:4"}));
    wish = {.gpus = {{1, 12_GiB}}, .gpu_layers = 3, .host = false};
    EXPECT_EQ(words(lay_out(nine_layers(), wish, budget)), (Words{"0 gpu0:3 and host"}));
    wish.gpu_layers = 0;
    EXPECT_EQ(words(lay_out(nine_layers(), wish, budget)), (Words{"0 host"}));
    wish.gpu_layers = 100;
    EXPECT_EQ(words(lay_out(nine_layers(), wish, budget)), (Words{"0 gpu0:9"}));
}

TEST(LayOut, SaysWhatItWouldTakeWhenItFitsNowhere) {
    auto [wish, budget] = machine(64, {4, 6});
    wish.whole = true;
    wish.host = false;
    const auto layouts = lay_out(nine_layers(), wish, budget);
    EXPECT_EQ(words(layouts), (Words{"0 gpu1:9"}));
    EXPECT_EQ(layouts[0].footprint[2], 10_GiB);
    EXPECT_FALSE(layouts[0].footprint.fits(budget));
}

TEST(LayOut, ChargesUnifiedMemoryOnce) {
    PlacementWish wish{.gpus = {{kHostDevice, 64_GiB}}};
    const auto layouts = lay_out(nine_layers(), wish, Footprint::host(64_GiB));
    EXPECT_EQ(words(layouts)[0], "0 gpu0:9");
    EXPECT_EQ(layouts[0].footprint, Footprint::host(2_GiB + 10_GiB));
}

TEST(LayOut, ChargesTheFirstGpuForTheProjectorAndSeveralForTheirCopies) {
    auto [wish, budget] = machine(64, {12, 12});
    LayerSizes sizes = nine_layers();
    sizes.first = 1_GiB;
    sizes.several = 512_MiB;
    wish.all_gpus = true;
    const auto layouts = lay_out(sizes, wish, budget);
    EXPECT_EQ(words(layouts)[0], "0 gpu0:4 gpu1:5");
    EXPECT_EQ(layouts[0].footprint[1], 4_GiB + 1_GiB + 1_GiB + 512_MiB);
    EXPECT_EQ(layouts[0].footprint[2], 5_GiB + 1_GiB + 512_MiB);
}

/// With many GPUs there are many sets; what comes out stays bounded and true.
TEST(LayOut, StaysBoundedWithManyGpus) {
    const auto [wish, budget] = machine(64, std::vector<std::int64_t>(15, 4));
    const auto layouts = lay_out(nine_layers(), wish, budget);
    EXPECT_LT(layouts.size(), 150U);
    EXPECT_EQ(layouts.front().gpus.size(), 3U);
    std::uint32_t grade = 0;
    for (const Layout& layout : layouts) {
        EXPECT_TRUE(layout.footprint.fits(budget));
        EXPECT_GE(layout.grade, grade);
        grade = layout.grade;
    }
}

TEST(LayOutEvenly, DividesByPowersOfTwo) {
    const EvenSizes sizes{.divided = 16_GiB,
                          .divided_growth = 4_GiB,
                          .gpu = 2_GiB,
                          .host = 3_GiB,
                          .all_on_host = 18_GiB,
                          .all_on_host_growth = 4_GiB,
                          .parts_max = 4};
    auto [wish, budget] = machine(64, {10, 10, 10, 10});
    wish.host = false;
    const auto layouts = lay_out_evenly(sizes, wish, budget);
    ASSERT_EQ(layouts.size(), 7U);  // six pairs, and all four
    EXPECT_EQ(layouts[0].footprint[1], 10_GiB);
    EXPECT_EQ(layouts[0].growth[1], 2_GiB);
    EXPECT_EQ(layouts[0].footprint[kHostDevice], 3_GiB);
    EXPECT_EQ(layouts[6].footprint[4], 6_GiB);
    EXPECT_LT(layouts[5].grade, layouts[6].grade);
    // What is asked for is done, whatever the number.
    wish = {.gpus = {wish.gpus[0], wish.gpus[1], wish.gpus[2]}, .all_gpus = true, .host = false};
    EXPECT_EQ(lay_out_evenly(sizes, wish, budget)[0].gpus.size(), 3U);
}

TEST(LayOutEvenly, IsOnTheHostWithoutGpus) {
    const EvenSizes sizes{.divided = 16_GiB, .all_on_host = 18_GiB, .all_on_host_growth = 4_GiB};
    const auto layouts = lay_out_evenly(sizes, {}, Footprint::host(64_GiB));
    EXPECT_EQ(words(layouts), (Words{"0 host"}));
    EXPECT_EQ(layouts[0].footprint, Footprint::host(18_GiB));
}

TEST(ToText, SaysWhereAModelLies) {
    const auto [wish, budget] = machine(64, {12, 12});
    const auto layouts = lay_out(nine_layers(), wish, budget);
    EXPECT_EQ(to_text(layouts[1], {0, 3}, 9), "GPU 3");
    EXPECT_EQ(to_text(layouts[2], {0, 3}, 9), "GPU 0 and 3");
    EXPECT_EQ(to_text(layouts[4], {0, 3}, 9), "GPU 0 and 3 and host (6 of 9 layers)");
    EXPECT_EQ(to_text(layouts.back(), {0, 3}, 9), "host");
}

/// A plan must promise what the scheduler does: it is asked for the same with invented models.
TEST(PlaceAll, ChoosesAsTheSchedulerDoes) {
    Rng rng(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::int64_t> gpus(1 + rng.below(4));
        for (std::int64_t& gpu : gpus) {
            gpu = rng.between(4, 24);
        }
        const auto [wish, budget] = machine(rng.between(8, 64), gpus);
        Scheduler scheduler({}, budget);
        std::vector<std::vector<Layout>> models;
        std::vector<std::optional<std::size_t>> started;
        for (std::uint64_t id = 1; id <= 8; ++id) {
            LayerSizes sizes = nine_layers();
            sizes.layers.assign(1 + rng.below(20), {1_GiB, 1_GiB});
            sizes.all_on_host = 1_GiB * rng.between(2, 30);
            models.push_back(lay_out(sizes, wish, budget));
            ModelTraits traits{.placements = {}, .pinned = true};
            for (const Layout& layout : models.back()) {
                traits.placements.push_back({layout.footprint, layout.grade});
            }
            scheduler.on(ModelDeclared{ModelId{id}, traits}, TimePoint());
            std::optional<std::size_t> where;
            for (const Effect& effect : scheduler.on(LoadRequested{ModelId{id}}, TimePoint())) {
                if (const auto* start = std::get_if<StartInstance>(&effect)) {
                    where = start->placement;
                }
            }
            started.push_back(where);
        }
        EXPECT_EQ(place_all(models, budget), started);
    }
}

}  // namespace
}  // namespace drover::memory
