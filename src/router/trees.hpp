// Small decision trees whose values are added up: they say what several measures of a prompt mean
// together, which a linear head cannot. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace drover::router {

inline constexpr std::size_t kTreeDepth = 3;
inline constexpr std::size_t kTreeLeaves = std::size_t{1} << kTreeDepth;

/// Trees that a head has at most.
inline constexpr std::size_t kTreesMax = 1000;

/// Each question asks whether a measure is above a limit; after kTreeDepth of them comes a value.
/// Question `i` is followed by 2i + 1 (no) or 2i + 2 (yes).
struct Tree {
    std::array<float, kTreeLeaves - 1> limits{};
    std::array<float, kTreeLeaves> values{};
    std::array<std::uint8_t, kTreeLeaves> measures{};  ///< of the questions; the last is unused
};

/// Whether it asks for the first `measures` alone and has numbers that sums can be made of.
bool is_sane(const Tree& tree, std::size_t measures);

/// Where the answers lead to: a place in Tree::values. REQUIRES: is_sane(tree, measures.size()).
std::size_t leaf_of(const Tree& tree, std::span<const float> measures);

/// The values that `measures` lead to, added up. REQUIRES: as above. Some nanoseconds a tree.
float sum_of(std::span<const Tree> trees, std::span<const float> measures);

}  // namespace drover::router
