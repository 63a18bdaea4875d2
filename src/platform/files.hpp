// Files, as far as the rest needs them. Any thread; blocking.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::platform {

/// The whole file as text. `not_found`, `io_error`, or `too_large` beyond `limit`.
Result<std::string> read_file(const std::filesystem::path& path, Bytes limit);

/// Makes `path` a directory that only we can enter (0700). Refuses, with a remedy, one that belongs
/// to somebody else or is a link.
Status make_private_directory(const std::filesystem::path& path);

/// Bytes that can still be written where `path` is.
Result<Bytes> free_space(const std::filesystem::path& path);

}  // namespace drover::platform
