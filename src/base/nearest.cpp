#include "base/nearest.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace drover {

namespace {

/// Names are compared up to this length, so that a long query cannot cost much.
constexpr std::size_t kComparedMax = 128;

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names,
                                       std::size_t limit) {
    const std::string query = to_lower(wanted.substr(0, kComparedMax));
    std::vector<std::pair<std::size_t, std::string>> scored;
    for (const std::string& name : names) {
        const std::string lower = to_lower(std::string_view(name).substr(0, kComparedMax));
        const std::size_t longer = std::max(query.size(), lower.size());
        std::size_t distance = edit_distance(query, lower);
        if (query.size() >= 3 && lower.find(query) != std::string::npos) {
            distance = 1;  // People shorten names: "smol" means "smollm2-135m-instruct".
        }
        if (distance * 2 <= longer) {
            scored.emplace_back(distance, name);
        }
    }
    std::sort(scored.begin(), scored.end());
    std::vector<std::string> result;
    for (std::size_t i = 0; i < std::min(limit, scored.size()); ++i) {
        result.push_back(std::move(scored[i].second));
    }
    return result;
}

}  // namespace drover
