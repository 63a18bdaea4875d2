#include "control/snapshot_folder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/files.hpp"
#include "snapshots/checksum.hpp"
#include "snapshots/seal.hpp"
#include "snapshots/state_file.hpp"

namespace drover::control {

namespace fs = std::filesystem;
using snapshots::Seal;
using snapshots::Snapshot;

namespace {

constexpr std::string_view kFinished = ".kv";

/// Of a model's file: from its start, which has the header, and spread over the tensors.
constexpr std::uint64_t kSampleSize = 64UL * 1024;
constexpr std::uint64_t kSamples = 16;

Error file_error(const fs::path& path, std::string_view what) {
    return {ErrorCode::io_error, path.string() + ": " + std::string(what)};
}

void remove_file(const fs::path& path) {
    std::error_code ignored;
    fs::remove(path, ignored);
}

std::string name_of(std::uint64_t origin, const std::vector<std::int32_t>& tokens) {
    const std::string_view bytes(reinterpret_cast<const char*>(tokens.data()),
                                 tokens.size() * sizeof(std::int32_t));
    std::array<char, 40> name{};
    std::snprintf(name.data(),
                  name.size(),
                  "%016llx-%016llx",
                  static_cast<unsigned long long>(origin),
                  static_cast<unsigned long long>(snapshots::checksum(bytes)));
    return std::string(name.data()) + std::string(kFinished);
}

/// Calls `use` with the first `size` bytes of the file, piece by piece. Files are read and not
/// mapped: pages that a process has mapped count as its memory, and all of ours is charged to the
/// budget. False when there are fewer.
template <typename Use>
bool read_pieces(std::ifstream& in, std::size_t size, Use use) {
    std::string piece(std::min(size, snapshots::kPieceBytes), '\0');
    while (size > 0) {
        piece.resize(std::min(size, piece.size()));
        if (!in.read(piece.data(), static_cast<std::streamsize>(piece.size()))) {
            return false;
        }
        use(std::string_view(piece));
        size -= piece.size();
    }
    return true;
}

Result<std::uint64_t> checksum_of(const fs::path& path, std::size_t size) {
    std::ifstream in(path, std::ios::binary);
    std::uint64_t sum = 0;
    const auto add = [&sum](std::string_view piece) {
        sum = snapshots::checksum(piece, sum);
    };
    if (!read_pieces(in, size, add)) {
        return file_error(path, "cannot be read");
    }
    return sum;
}

/// Copies the file with `edits`. False when the disk is full, or otherwise unwilling.
bool write_edited(const fs::path& from,
                  std::size_t size,
                  const fs::path& to,
                  const std::vector<snapshots::Edit>& edits) {
    std::ifstream in(from, std::ios::binary);
    std::ofstream out(to, std::ios::binary | std::ios::trunc);
    const auto put = [&out](std::string_view bytes) {
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    };
    std::size_t at = 0;
    bool whole = true;
    for (const snapshots::Edit& edit : edits) {
        whole = whole && read_pieces(in, edit.at - at, put);
        put(edit.with);
        in.seekg(static_cast<std::streamoff>(edit.replaces), std::ios::cur);
        at = edit.at + edit.replaces;
    }
    whole = whole && read_pieces(in, size - at, put);
    out.close();
    return whole && out.good();
}

/// Lets the engine take a state with a sliding window: the file is written anew beside itself.
Status edit_window(const fs::path& path) {
    const fs::path edited = path.string() + "2" + std::string(kUnfinished);
    std::vector<snapshots::Edit> edits;
    std::size_t size = 0;
    {
        const auto file = platform::MappedFile::open(path);  // few of its pages are touched
        if (!file.ok()) {
            return file.error();
        }
        auto found = snapshots::admit_window(file->bytes());
        if (!found.ok()) {
            return found.error();
        }
        edits = std::move(*found);
        size = file->bytes().size();
    }
    if (!write_edited(path, size, edited, edits) ||
        std::rename(edited.c_str(), path.c_str()) != 0) {
        remove_file(edited);
        return file_error(path, "cannot be written");
    }
    return {};
}

Result<Snapshot> seal_file(const fs::path& folder, const fs::path& path, const SealTerms& terms) {
    if (terms.sliding_window) {
        DROVER_TRY(edit_window(path));
    }
    Snapshot snapshot{.file = {}, .origin = {.model = terms.model, .binding = terms.binding}};
    Seal seal{.model = terms.model, .binding = terms.binding};
    std::size_t size = 0;
    {
        const auto file = platform::MappedFile::open(path);
        if (!file.ok()) {
            return file.error();
        }
        const auto head = snapshots::read_head(file->bytes());
        if (!head.ok()) {
            return head.error();
        }
        snapshot.file = name_of(terms.model ^ terms.binding, head->tokens);
        snapshot.chain = snapshots::TokenChain(head->tokens);
        snapshot.prefill = terms.prefill_per_token * static_cast<std::int64_t>(head->tokens.size());
        seal.prefill = snapshot.prefill;
        size = file->bytes().size();
    }
    const auto sum = checksum_of(path, size);
    if (!sum.ok()) {
        return sum.error();
    }
    seal.state_checksum = *sum;
    snapshot.bytes = Bytes(static_cast<std::int64_t>(size + snapshots::kSealSize));
    std::ofstream out(path, std::ios::binary | std::ios::app);
    out << snapshots::to_bytes(seal);
    out.close();
    if (!out.good() || ::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 ||
        std::rename(path.c_str(), (folder / snapshot.file).c_str()) != 0) {
        return file_error(path, "cannot be written");
    }
    return snapshot;
}

/// Of a file its head and its seal are read, not what is between.
Result<Snapshot> read_snapshot(const fs::path& folder, const std::string& name) {
    const fs::path path = folder / name;
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    const auto size = static_cast<std::int64_t>(in.tellg());
    const auto read = [&in](std::int64_t at, std::size_t count) {
        std::string bytes(count, '\0');
        in.seekg(at);
        in.read(bytes.data(), static_cast<std::streamsize>(count));
        bytes.resize(static_cast<std::size_t>(in.gcount()));
        return bytes;
    };
    if (size < static_cast<std::int64_t>(snapshots::kHeadStart + snapshots::kSealSize)) {
        return file_error(path, "is too short");
    }
    const auto head_size = snapshots::head_size(read(0, snapshots::kHeadStart));
    if (!head_size.ok()) {
        return head_size.error();
    }
    if (static_cast<std::int64_t>(*head_size) > size) {
        return file_error(path, "is damaged");
    }
    const auto head = snapshots::read_head(read(0, *head_size));
    const auto seal = snapshots::read_seal(
        read(size - static_cast<std::int64_t>(snapshots::kSealSize), snapshots::kSealSize));
    if (!head.ok() || !seal.ok()) {
        return head.ok() ? seal.error() : head.error();
    }
    return Snapshot{.file = name,
                    .origin = {.model = seal->model, .binding = seal->binding},
                    .bytes = Bytes(size),
                    .prefill = seal->prefill,
                    .chain = snapshots::TokenChain(head->tokens)};
}

std::vector<fs::path> files_with(const fs::path& folder, std::string_view ending) {
    std::vector<std::pair<fs::file_time_type, fs::path>> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (entry.path().extension() == ending) {
            found.emplace_back(entry.last_write_time(error), entry.path());
        }
    }
    std::sort(found.begin(), found.end());
    std::vector<fs::path> paths;
    for (auto& [time, path] : found) {
        paths.push_back(std::move(path));
    }
    return paths;
}

}  // namespace

Result<SnapshotFolder> SnapshotFolder::open(const fs::path& path) {
    DROVER_TRY(platform::make_private_directory(path));
    const int lock =
        ::open((path / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (lock >= 0) {
            ::close(lock);
        }
        return Error{ErrorCode::unavailable, path.string() + " is used by another server"};
    }
    for (const fs::path& unfinished : files_with(path, kUnfinished)) {
        remove_file(unfinished);
    }
    return SnapshotFolder(path, lock);
}

SnapshotFolder::SnapshotFolder(SnapshotFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

SnapshotFolder::~SnapshotFolder() {
    if (lock_ >= 0) {
        ::close(lock_);
    }
}

Result<Snapshot> seal_snapshot(const fs::path& folder,
                               const std::string& unfinished,
                               const SealTerms& terms) {
    Result<Snapshot> snapshot = seal_file(folder, folder / unfinished, terms);
    if (!snapshot.ok()) {
        remove_file(folder / unfinished);
    }
    return snapshot;
}

Result<std::vector<std::int32_t>> tokens_of_state(const fs::path& folder,
                                                  const std::string& unfinished) {
    const auto file = platform::MappedFile::open(folder / unfinished);
    if (!file.ok()) {
        return file.error();
    }
    auto head = snapshots::read_head(file->bytes());
    if (!head.ok()) {
        return head.error();
    }
    if (head->media) {
        return Error{ErrorCode::not_found, "images or sound stand between the tokens"};
    }
    return std::move(head->tokens);
}

std::vector<Snapshot> scan_snapshots(const fs::path& folder, std::vector<std::string>& damaged) {
    std::vector<Snapshot> found;
    for (const fs::path& path : files_with(folder, kFinished)) {
        auto snapshot = read_snapshot(folder, path.filename().string());
        if (snapshot.ok()) {
            found.push_back(std::move(*snapshot));
        } else {
            remove_file(path);
            damaged.push_back(path.filename().string());
        }
    }
    return found;
}

Status verify_snapshot(const fs::path& folder, const std::string& file) {
    const fs::path path = folder / file;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(path, error);
    if (error || size < snapshots::kSealSize) {
        return file_error(path, "cannot be read");
    }
    const std::size_t state = static_cast<std::size_t>(size) - snapshots::kSealSize;
    std::string end(snapshots::kSealSize, '\0');
    std::ifstream in(path, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(state));
    in.read(end.data(), static_cast<std::streamsize>(end.size()));
    const auto seal = snapshots::read_seal(end);
    const auto sum = checksum_of(path, state);
    if (!seal.ok() || !sum.ok()) {
        return seal.ok() ? sum.error() : seal.error();
    }
    return *sum == seal->state_checksum ? Status() : Status(file_error(path, "is damaged"));
}

void remove_snapshots(const fs::path& folder, const std::vector<std::string>& files) {
    for (const std::string& file : files) {
        remove_file(folder / file);
    }
}

Result<std::uint64_t> model_identity(const std::vector<fs::path>& files) {
    std::uint64_t identity = files.size();
    std::string sample(kSampleSize, '\0');
    for (const fs::path& path : files) {
        std::ifstream in(path, std::ios::binary | std::ios::ate);
        const auto size = static_cast<std::int64_t>(in.tellg());
        if (size <= 0) {
            return file_error(path, "cannot be read");
        }
        identity = snapshots::checksum({}, identity ^ static_cast<std::uint64_t>(size));
        const auto rest = std::max<std::int64_t>(size - static_cast<std::int64_t>(kSampleSize), 0);
        for (std::uint64_t i = 0; i < kSamples; ++i) {
            in.clear();
            in.seekg(rest / static_cast<std::int64_t>(kSamples - 1) * static_cast<std::int64_t>(i));
            in.read(sample.data(), static_cast<std::streamsize>(sample.size()));
            identity = snapshots::checksum(
                std::string_view(sample).substr(0, static_cast<std::size_t>(in.gcount())),
                identity);
        }
    }
    return identity;
}

}  // namespace drover::control
