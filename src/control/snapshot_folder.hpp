// The folder with the snapshots and what is done to its files. Any thread; blocking, so the loop
// hands it to the pool.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "snapshots/index.hpp"

namespace drover::control {

/// What an unsealed state belongs to.
struct SealTerms {
    std::uint64_t model = 0;
    std::uint64_t binding = 0;
    Duration prefill_per_token{};
    bool sliding_window = false;  ///< the state must be edited, or the engine will not take it
};

/// Private to this process as long as it lives. Files are complete or have the name of unfinished
/// ones, which the next open() removes.
class SnapshotFolder {
  public:
    /// Makes it (0700), locks it and removes unfinished files. `unavailable`: another server has
    /// it.
    static Result<SnapshotFolder> open(const std::filesystem::path& path);

    SnapshotFolder(SnapshotFolder&& other) noexcept;
    SnapshotFolder& operator=(SnapshotFolder&&) = delete;
    ~SnapshotFolder();

    const std::filesystem::path& path() const { return path_; }

  private:
    SnapshotFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

    std::filesystem::path path_;
    int lock_;  ///< -1 after a move
};

/// Ends the name of a file that an engine is writing.
inline constexpr std::string_view kUnfinished = ".tmp";

/// Makes a snapshot of the state that an engine has written to `unfinished`: readable by us alone,
/// sealed, under its final name. The unfinished file is gone afterwards in any case. `not_found`:
/// the state is worth nothing to the engine.
Result<snapshots::Snapshot> seal_snapshot(const std::filesystem::path& folder,
                                          const std::string& unfinished,
                                          const SealTerms& terms);

/// The tokens of a state that an engine has written; `not_found` with media between them.
Result<std::vector<std::int32_t>> tokens_of_state(const std::filesystem::path& folder,
                                                  const std::string& unfinished);

/// What `folder` holds, the one written last at the end. Files that are not whole are removed and
/// named in `damaged`.
std::vector<snapshots::Snapshot> scan_snapshots(const std::filesystem::path& folder,
                                                std::vector<std::string>& damaged);

/// Whether the file is as it was written.
Status verify_snapshot(const std::filesystem::path& folder, const std::string& file);

void remove_snapshots(const std::filesystem::path& folder, const std::vector<std::string>& files);

/// A hash by which a model's files are known: their sizes and samples of their content, a megabyte
/// in all. Another quantisation, fine-tune or version differs in them.
Result<std::uint64_t> model_identity(const std::vector<std::filesystem::path>& files);

}  // namespace drover::control
