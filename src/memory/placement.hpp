// Which devices a model may lie on, and how much of it on each: every alternative with its bytes,
// for the scheduler to choose among. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "memory/footprint.hpp"
#include "memory/size_estimate.hpp"

namespace drover::memory {

/// A GPU as placement sees it.
struct Gpu {
    /// Where its bytes are counted: kHostDevice when it shares the host's memory.
    std::size_t device = kHostDevice;
    Bytes budget;
};

/// What may be done with a model.
struct PlacementWish {
    std::vector<Gpu> gpus{};  ///< that it may lie on; none: the host alone
    bool all_gpus = false;    ///< on all of them together, rather than on as few as possible
    /// Layers on GPUs, the output being one; the others are on the host. Unset: as many as fit.
    std::optional<std::uint32_t> gpu_layers{};
    bool whole = false;  ///< all layers are on GPUs
    bool host = true;    ///< all of it may lie on the host
};

/// A model's part on one GPU.
struct GpuShare {
    std::size_t gpu = 0;       ///< index in PlacementWish::gpus
    std::uint32_t layers = 0;  ///< 0: an equal part of each layer
    bool operator==(const GpuShare&) const = default;
};

/// One way to lay a model out.
struct Layout {
    std::vector<GpuShare> gpus{};  ///< in the order in which layers follow; none: the host alone
    bool whole = false;            ///< no layer is on the host
    Footprint footprint{};
    Footprint growth{};       ///< of it, what comes only when it serves
    std::uint32_t grade = 0;  ///< see Placement
};

/// All ways to lay out a model's layers, the best first; at least one, even when none fits:
///  1. whole on one GPU: one layout for each that its budget allows, all of one grade;
///  2. whole on several, the fewest first, each number a grade;
///  3. partly on the host: with as many layers on GPUs as their budgets allow, then with three
///     quarters, half, a quarter of them, each a grade: others may hold what is missing;
///  4. on the host alone.
/// REQUIRES: `budget` is the host's and that of all devices of `wish`.
std::vector<Layout> lay_out(const LayerSizes& sizes,
                            const PlacementWish& wish,
                            const Footprint& budget);

/// For people: "host", "GPU 0 and 1", "GPU 0 and host (20 of 33 layers)". `numbers`: of the wish's
/// GPUs; `layers`: of the whole model.
std::string to_text(const Layout& layout,
                    const std::vector<std::uint32_t>& numbers,
                    std::size_t layers);

/// What a model takes that is divided evenly among its GPUs, as tensor parallelism does.
struct EvenSizes {
    Bytes divided;  ///< over all GPUs
    Bytes divided_growth;
    Bytes gpu;          ///< on each of them besides
    Bytes host;         ///< in host memory besides
    Bytes all_on_host;  ///< without any GPU
    Bytes all_on_host_growth;
    std::uint32_t parts_max = 1;  ///< it can be divided by each power of two up to this
};

/// The same for such a model: whole on one GPU, on several, or on the host.
std::vector<Layout> lay_out_evenly(const EvenSizes& sizes,
                                   const PlacementWish& wish,
                                   const Footprint& budget);

/// The layouts of models that all stay, loaded in this order, as the scheduler chooses them: the
/// index of each one's; nothing where no room is left.
std::vector<std::optional<std::size_t>> place_all(const std::vector<std::vector<Layout>>& models,
                                                  Footprint budget);

}  // namespace drover::memory
