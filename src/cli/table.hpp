// Text tables for terminals.
#pragma once

#include <string>
#include <vector>

namespace drover::cli {

/// Rows of cells under a heading, columns aligned, two spaces between; ends with a line break.
std::string format_table(const std::vector<std::string>& heading,
                         const std::vector<std::vector<std::string>>& rows);

}  // namespace drover::cli
