#include "cli/table.hpp"

#include <algorithm>

namespace drover::cli {

std::string format_table(const std::vector<std::string>& heading,
                         const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(heading.size());
    const auto widen = [&widths](const std::vector<std::string>& row) {
        for (std::size_t i = 0; i < widths.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    };
    widen(heading);
    std::for_each(rows.begin(), rows.end(), widen);
    std::string text;
    const auto append = [&](const std::vector<std::string>& row) {
        std::string line;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    };
    append(heading);
    std::for_each(rows.begin(), rows.end(), append);
    return text;
}

}  // namespace drover::cli
