// What instances turned out to take, remembered across restarts, so that the next estimate is the
// truth. A small SQLite table; blocks on the disk. Any thread, one call at a time or several.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"

struct sqlite3;

namespace drover::control {

/// What a size depends on. Each part is opaque; a difference in any of them is another row.
struct SizeKey {
    std::string model;     ///< files, their sizes and times of change
    std::string engine;    ///< program and build
    std::string settings;  ///< everything that the size depends on
};

/// What was measured.
struct MeasuredSize {
    /// Charged to the budgets: measured, and what may still grow. Of the host, then of each GPU in
    /// the order in which the model's layers are on them.
    std::vector<Bytes> bytes;
    Duration load_time{};  ///< spawn to ready
};

/// A table that never stands in the way: when it cannot be read or written, nothing is remembered,
/// and one that is corrupt is begun anew.
class MeasuredSizes {
  public:
    /// Rows that are kept: the latest.
    static constexpr std::size_t kRowsMax = 4096;

    /// Opens or makes `file`.
    explicit MeasuredSizes(const std::filesystem::path& file);
    ~MeasuredSizes();
    MeasuredSizes(const MeasuredSizes&) = delete;
    MeasuredSizes& operator=(const MeasuredSizes&) = delete;

    std::optional<MeasuredSize> find(const SizeKey& key) const;
    /// Replaces what was known. False when it could not be written.
    bool remember(const SizeKey& key, const MeasuredSize& size);

    /// What went wrong when it was opened, for the log; empty: nothing.
    const std::string& problem() const { return problem_; }

  private:
    void open(const std::filesystem::path& file);
    void close();

    sqlite3* database_ = nullptr;  ///< null: nothing is remembered
    std::string problem_;
};

}  // namespace drover::control
