#include "router/trees.hpp"

#include <algorithm>

#include "router/byte_reader.hpp"

namespace drover::router {

bool is_sane(const Tree& tree, std::size_t measures) {
    return finite(tree.limits) && finite(tree.values) &&
           std::all_of(tree.measures.begin(), tree.measures.end(), [&](std::uint8_t measure) {
               return measure < measures;
           });
}

std::size_t leaf_of(const Tree& tree, std::span<const float> measures) {
    std::size_t at = 0;
    for (std::size_t level = 0; level < kTreeDepth; ++level) {
        const bool above = measures[tree.measures[at]] > tree.limits[at];
        at = 2 * at + 1 + static_cast<std::size_t>(above);
    }
    return at - (kTreeLeaves - 1);
}

float sum_of(std::span<const Tree> trees, std::span<const float> measures) {
    float sum = 0;
    for (const Tree& tree : trees) {
        sum += tree.values[leaf_of(tree, measures)];
    }
    return sum;
}

}  // namespace drover::router
