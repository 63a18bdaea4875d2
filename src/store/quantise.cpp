#include "store/quantise.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include "base/text.hpp"
#include "models/header_file.hpp"
#include "platform/cpu_features.hpp"
#include "platform/run_command.hpp"
#include "store/disk_space.hpp"
#include "store/download.hpp"

namespace drover::store {

namespace fs = std::filesystem;

namespace {

/// Those that need no importance matrix.
constexpr std::array<std::string_view, 20> kTypes{
    "Q2_K",   "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1",  "Q4_K_S", "Q4_K_M", "Q5_0",   "Q5_1",
    "Q5_K_S", "Q5_K_M", "Q6_K",   "Q8_0",   "F16",  "IQ3_S", "IQ3_M",  "IQ4_NL", "IQ4_XS", "BF16"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kShortTypes{
    {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}}};
constexpr std::array<std::string_view, 3> kWholeTypes{"F32", "F16", "BF16"};

/// The largest models take hours.
constexpr std::chrono::hours kLongest{48};
constexpr std::size_t kLastWords = 500;

/// A file of a store that is removed unless it was given a name.
class ScratchFile {
  public:
    explicit ScratchFile(const Store& store)
        : path_((store.root() / "blobs" / "quantise-XXXXXX").string()),
          fd_(::mkstemp(path_.data())) {}
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;
    ~ScratchFile() {
        if (fd_ >= 0) {
            ::unlink(path_.c_str());
            ::close(fd_);
        }
    }

    bool ok() const { return fd_ >= 0; }
    const std::string& path() const { return path_; }
    bool become(const fs::path& file) const {
        return ::fdatasync(fd_) == 0 && ::rename(path_.c_str(), file.c_str()) == 0;
    }

  private:
    std::string path_;
    int fd_;
};

/// Reads "[  42/ 200]" at the beginning of the program's lines.
class Counter {
  public:
    struct Count {
        std::int64_t done = 0;
        std::int64_t all = 0;
    };

    /// The last count within the lines that `text` completes.
    std::optional<Count> put(std::string_view text) {
        std::optional<Count> last;
        for (const char c : text) {
            if (c != '\n') {
                line_ += c;
                continue;
            }
            if (const auto count = read(line_); count.has_value()) {
                last = count;
            }
            line_.clear();
        }
        return last;
    }

  private:
    static std::optional<Count> read(std::string_view line) {
        const std::size_t slash = line.find('/');
        const std::size_t end = line.find(']');
        Count count;
        if (!line.starts_with('[') || slash == line.npos || end == line.npos || end < slash ||
            !number(line.substr(1, slash - 1), count.done) ||
            !number(line.substr(slash + 1, end - slash - 1), count.all) || count.all <= 0) {
            return std::nullopt;
        }
        return count;
    }

    static bool number(std::string_view text, std::int64_t& value) {
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
        return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
    }

    std::string line_;
};

std::string listed() {
    std::string text;
    for (const std::string_view type : kTypes) {
        text += (text.empty() ? "" : ", ") + std::string(type);
    }
    return text;
}

Status run(const std::vector<std::string>& argv,
           const Progress& told,
           const OnProgress& on_progress,
           const Stopped& stopped) {
    Counter counter;
    std::string last_words;
    const auto take = [&](std::string_view text) {
        last_words += text;
        last_words.erase(0, last_words.size() - std::min(last_words.size(), kLastWords));
        if (const auto count = counter.put(text); count.has_value()) {
            Progress now = told;
            now.completed = Bytes(told.total.count() / count->all * count->done);
            on_progress(now);
        }
    };
    const auto ended = platform::run_command(argv, kLongest, {.on_text = take, .stopped = stopped});
    if (!ended.ok()) {
        return ended.error();
    }
    if (ended->status != 0) {
        return Error{ErrorCode::io_error,
                     "llama-quantize failed with status " + std::to_string(ended->status) + ": " +
                         last_words};
    }
    return {};
}

}  // namespace

Result<std::string> quantisation_type(std::string_view text) {
    for (const auto& [brief, type] : kShortTypes) {
        if (equals_ignoring_case(text, brief)) {
            return std::string(type);
        }
    }
    for (const std::string_view type : kTypes) {
        if (equals_ignoring_case(text, type)) {
            return std::string(type);
        }
    }
    return Error{ErrorCode::invalid_argument,
                 "unsupported quantization type '" + std::string(text.substr(0, 100)) +
                     "' - supported types are " + listed()};
}

Result<Layer> quantise(const Store& store,
                       const Layer& layer,
                       const std::string& type,
                       const fs::path& program,
                       const OnProgress& on_progress,
                       const Stopped& stopped) {
    const auto facts = models::read_facts({store.blob(layer.digest)});
    if (!facts.ok()) {
        return facts.error();
    }
    const std::string& from = facts->quantisation;
    if (std::find(kWholeTypes.begin(), kWholeTypes.end(), from) == kWholeTypes.end()) {
        return Error{
            ErrorCode::invalid_argument,
            "quantization is only supported for F16, BF16 and F32 models, and this one is " + from};
    }
    if (from == type) {
        return layer;
    }
    DROVER_TRY(check_space(store, layer.size));
    const ScratchFile scratch(store);
    if (!scratch.ok()) {
        return Error{ErrorCode::io_error,
                     scratch.path() + ": " + std::generic_category().message(errno)};
    }
    const Progress told{.status = "quantizing " + from + " model to " + type,
                        .digest = layer.digest.to_string(),
                        .total = layer.size};
    DROVER_TRY(run({program.string(),
                    store.blob(layer.digest).string(),
                    scratch.path(),
                    type,
                    std::to_string(std::max(platform::processor_count(), 1U))},
                   told,
                   on_progress,
                   stopped));
    on_progress({.status = "verifying conversion"});
    const auto ignore = [](Bytes) {
    };
    auto digest = digest_of_file(scratch.path(), ignore, stopped);
    std::error_code error;
    const auto size = fs::file_size(scratch.path(), error);
    if (!digest.ok()) {
        return digest.error();
    }
    if (error || !scratch.become(store.blob(*digest))) {
        return Error{ErrorCode::io_error, scratch.path() + " cannot be kept"};
    }
    return Layer{.media_type = layer.media_type,
                 .digest = *digest,
                 .size = Bytes(static_cast<std::int64_t>(size))};
}

}  // namespace drover::store
