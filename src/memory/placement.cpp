#include "memory/placement.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace drover::memory {

namespace {

/// Sets of GPUs that are looked at; bounds the layouts of one model on machines with very many.
constexpr std::size_t kSetsMax = 64;

using GpuSet = std::vector<std::size_t>;

/// All sets of `size` out of `count`, in order, up to kSetsMax.
std::vector<GpuSet> sets_of(std::size_t size, std::size_t count) {
    std::vector<GpuSet> sets;
    GpuSet set(size);
    std::iota(set.begin(), set.end(), std::size_t{0});
    while (size <= count && sets.size() < kSetsMax) {
        sets.push_back(set);
        std::size_t at = size;
        while (at > 0 && set[at - 1] == count - size + at - 1) {
            --at;
        }
        if (at == 0) {
            break;
        }
        std::iota(set.begin() + static_cast<std::ptrdiff_t>(at) - 1, set.end(), set[at - 1] + 1);
    }
    return sets;
}

GpuSet all_of(const PlacementWish& wish) {
    GpuSet set(wish.gpus.size());
    std::iota(set.begin(), set.end(), std::size_t{0});
    return set;
}

/// Collects layouts; each grade of them is closed before the next begins.
class Layouts {
  public:
    void add(Layout layout) {
        layout.grade = grade_;
        list_.push_back(std::move(layout));
    }
    /// What is added from now on is worse.
    void next_grade() { grade_ += list_.empty() || list_.back().grade < grade_ ? 0 : 1; }
    bool empty() const { return list_.empty(); }
    std::vector<Layout> take() && { return std::move(list_); }

  private:
    std::vector<Layout> list_;
    std::uint32_t grade_ = 0;
};

/// Whole on as few GPUs as possible: with the fewest that suffice, with one more, and with all.
/// `layout_of(set)` lays it out over a set.
template <typename LayoutOf>
void add_whole(const PlacementWish& wish,
               const Footprint& budget,
               LayoutOf layout_of,
               Layouts& layouts) {
    const std::size_t count = wish.gpus.size();
    std::size_t fewest = count + 1;
    for (std::size_t size = wish.all_gpus ? count : 1; size <= count; ++size) {
        if (size > fewest + 1 && size < count) {
            continue;
        }
        layouts.next_grade();
        for (const GpuSet& set : sets_of(size, count)) {
            std::optional<Layout> layout = layout_of(set);
            if (layout.has_value() && layout->footprint.fits(budget)) {
                layouts.add(*std::move(layout));
                fewest = std::min(fewest, size);
            }
        }
    }
}

Layout on_host(Bytes bytes, Bytes growth) {
    return {.footprint = Footprint::host(bytes), .growth = Footprint::host(growth)};
}

class LayerPlacement {
  public:
    LayerPlacement(const LayerSizes& sizes, const PlacementWish& wish, const Footprint& budget)
        : sizes_(sizes), wish_(wish), budget_(budget) {}

    std::vector<Layout> run() {
        const std::uint32_t wanted = std::min(wish_.gpu_layers.value_or(all()), all());
        if (!wish_.gpus.empty() && wanted > 0) {
            add_whole(
                wish_, budget_, [&](const GpuSet& set) { return layout(set, wanted); }, layouts_);
            if (!wish_.whole && !wish_.gpu_layers.has_value()) {
                add_partly();
            }
        }
        layouts_.next_grade();
        if (wish_.host || wish_.gpus.empty() || wanted == 0) {
            layouts_.add(on_host(sizes_.all_on_host, sizes_.all_on_host_growth));
        }
        if (layouts_.empty()) {
            layouts_.add(unfit(wanted));
        }
        return std::move(layouts_).take();
    }

  private:
    std::uint32_t all() const { return static_cast<std::uint32_t>(sizes_.layers.size()); }

    /// With as many layers on all GPUs as fit, and with parts of that.
    void add_partly() {
        const GpuSet set = all_of(wish_);
        std::uint32_t most = all() - 1;
        while (most > 0 && !fits(layout(set, most))) {
            --most;
        }
        std::uint32_t last = 0;
        constexpr std::uint32_t kParts = 4;
        for (std::uint32_t part = kParts; part > 0; --part) {
            const std::uint32_t layers = most * part / kParts;
            const auto some = layers == last ? std::nullopt : layout(set, layers);
            last = layers;
            if (fits(some)) {
                layouts_.next_grade();
                layouts_.add(*some);
            }
        }
    }

    bool fits(const std::optional<Layout>& layout) const {
        return layout.has_value() && layout->footprint.fits(budget_);
    }

    /// What is refused: its best layout, although there is no room for it.
    Layout unfit(std::uint32_t wanted) const {
        GpuSet set = all_of(wish_);
        if (!wish_.all_gpus) {
            const auto larger = [this](std::size_t a, std::size_t b) {
                return wish_.gpus[a].budget < wish_.gpus[b].budget;
            };
            set = {*std::max_element(set.begin(), set.end(), larger)};
        }
        if (auto best = layout(set, wanted); best.has_value()) {
            return *best;
        }
        set.resize(1);  // fewer layers than GPUs
        return layout(set, wanted).value();
    }

    /// The last `count` layers on these GPUs; nothing when one of them would have none.
    std::optional<Layout> layout(const GpuSet& set, std::uint32_t count) const {
        if (count < set.size()) {
            return std::nullopt;
        }
        Layout result{.whole = count == all()};
        Footprint& bytes = result.footprint;
        const Bytes computing = result.whole ? Bytes(0) : sizes_.computing;
        bytes[kHostDevice] = sizes_.host + computing;
        result.growth[kHostDevice] = sizes_.host_growth + computing;
        const std::vector<std::uint32_t> shares = divide(set, count);
        std::size_t layer = sizes_.layers.size() - count;
        for (std::size_t on_host = 0; on_host < layer; ++on_host) {
            bytes[kHostDevice] += sizes_.layers[on_host].on_host;
        }
        for (std::size_t i = 0; i < set.size(); ++i) {
            const std::size_t device = wish_.gpus[set[i]].device;
            if (shares[i] == 0) {
                return std::nullopt;
            }
            bytes[device] += sizes_.gpu + (i == 0 ? sizes_.first : Bytes(0)) +
                             (set.size() > 1 ? sizes_.several : Bytes(0));
            result.growth[device] += sizes_.gpu_growth;
            for (std::uint32_t n = 0; n < shares[i]; ++n) {
                bytes[device] += sizes_.layers[layer++].on_gpu;
            }
            result.gpus.push_back({set[i], shares[i]});
        }
        return result;
    }

    /// How many of the last `count` layers each GPU gets: in proportion to what it has for layers.
    std::vector<std::uint32_t> divide(const GpuSet& set, std::uint32_t count) const {
        std::vector<double> room;
        for (std::size_t i = 0; i < set.size(); ++i) {
            const Bytes beside = sizes_.gpu + sizes_.several + (i == 0 ? sizes_.first : Bytes(0));
            const Bytes left = wish_.gpus[set[i]].budget - beside;
            room.push_back(static_cast<double>(std::max(left, Bytes(1)).count()));
        }
        const double all_room = std::accumulate(room.begin(), room.end(), 0.0);
        Bytes total;
        for (std::size_t layer = sizes_.layers.size() - count; layer < sizes_.layers.size();
             ++layer) {
            total += sizes_.layers[layer].on_gpu;
        }
        std::vector<std::uint32_t> shares(set.size());
        double until = 0;
        Bytes given;
        std::size_t layer = sizes_.layers.size() - count;
        for (std::size_t i = 0; i < set.size(); ++i) {
            until += room[i] / all_room * static_cast<double>(total.count());
            const bool last = i + 1 == set.size();
            while (layer < sizes_.layers.size()) {
                const Bytes half(sizes_.layers[layer].on_gpu.count() / 2);
                if (!last && static_cast<double>((given + half).count()) > until) {
                    break;
                }
                given += sizes_.layers[layer++].on_gpu;
                ++shares[i];
            }
        }
        return shares;
    }

    const LayerSizes& sizes_;
    const PlacementWish& wish_;
    const Footprint& budget_;
    Layouts layouts_;
};

/// One part of a model that is divided evenly, on each of these GPUs; nothing when it cannot be
/// divided by so many.
std::optional<Layout> evenly(const EvenSizes& sizes, const PlacementWish& wish, const GpuSet& set) {
    const auto parts = static_cast<std::int64_t>(set.size());
    const bool power_of_two = (parts & (parts - 1)) == 0;
    if (!wish.all_gpus && (!power_of_two || parts > sizes.parts_max)) {
        return std::nullopt;
    }
    Layout result{.whole = true};
    result.footprint[kHostDevice] = sizes.host;
    for (const std::size_t gpu : set) {
        const std::size_t device = wish.gpus[gpu].device;
        result.footprint[device] += Bytes((sizes.divided.count() + parts - 1) / parts) + sizes.gpu;
        result.growth[device] += Bytes(sizes.divided_growth.count() / parts);
        result.gpus.push_back({gpu, 0});
    }
    return result;
}

}  // namespace

std::vector<Layout> lay_out(const LayerSizes& sizes,
                            const PlacementWish& wish,
                            const Footprint& budget) {
    return LayerPlacement(sizes, wish, budget).run();
}

std::vector<Layout> lay_out_evenly(const EvenSizes& sizes,
                                   const PlacementWish& wish,
                                   const Footprint& budget) {
    Layouts layouts;
    if (!wish.gpus.empty()) {
        add_whole(
            wish, budget, [&](const GpuSet& set) { return evenly(sizes, wish, set); }, layouts);
    }
    layouts.next_grade();
    if (wish.host || wish.gpus.empty()) {
        layouts.add(on_host(sizes.all_on_host, sizes.all_on_host_growth));
    }
    if (layouts.empty()) {
        layouts.add(*evenly(sizes, wish, wish.all_gpus ? all_of(wish) : GpuSet{0}));
    }
    return std::move(layouts).take();
}

std::string to_text(const Layout& layout,
                    const std::vector<std::uint32_t>& numbers,
                    std::size_t layers) {
    if (layout.gpus.empty()) {
        return "host";
    }
    std::string text = "GPU ";
    std::size_t on_gpus = 0;
    for (std::size_t i = 0; i < layout.gpus.size(); ++i) {
        text += (i == 0 ? "" : " and ") + std::to_string(numbers[layout.gpus[i].gpu]);
        on_gpus += layout.gpus[i].layers;
    }
    return layout.whole ? text
                        : text + " and host (" + std::to_string(on_gpus) + " of " +
                              std::to_string(layers) + " layers)";
}

std::vector<std::optional<std::size_t>> place_all(const std::vector<std::vector<Layout>>& models,
                                                  Footprint budget) {
    std::vector<std::optional<std::size_t>> chosen;
    for (const std::vector<Layout>& layouts : models) {
        std::optional<std::size_t> best;
        for (std::size_t i = 0; i < layouts.size(); ++i) {
            const Footprint& needed = layouts[i].footprint;
            if (!needed.fits(budget)) {
                continue;
            }
            if (best.has_value() && layouts[i].grade > layouts[*best].grade) {
                break;
            }
            if (!best.has_value() ||
                needed.leaves_of(budget) < layouts[*best].footprint.leaves_of(budget)) {
                best = i;
            }
        }
        if (best.has_value()) {
            budget -= layouts[*best].footprint;
        }
        chosen.push_back(best);
    }
    return chosen;
}

}  // namespace drover::memory
