#include "store/upload.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "platform/pause.hpp"

namespace drover::store {

namespace {

/// A registry that cannot tell how much of a piece it has gets the piece again.
constexpr std::uint64_t kUploadPiece = std::uint64_t{64} << 20;
/// A registry reads a blob of many gigabytes once more before it takes it.
constexpr std::chrono::seconds kCommitPatience{900};

constexpr long kOk = 200;
constexpr long kCreated = 201;
constexpr long kAccepted = 202;
constexpr long kNoContent = 204;
constexpr long kNotFound = 404;
constexpr long kConflict = 409;
constexpr long kRangeNotSatisfiable = 416;

class OpenFile {
  public:
    explicit OpenFile(const std::filesystem::path& file)
        : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() { ::close(fd_); }

    int fd() const { return fd_; }

  private:
    int fd_;
};

/// How much of an upload "0-1023" says is there. "0-0" is what registries say of nothing.
std::optional<std::uint64_t> end_of_range(std::string_view range) {
    const std::size_t dash = range.find('-');
    std::uint64_t last = 0;
    if (dash == range.npos ||
        std::from_chars(range.data() + dash + 1, range.data() + range.size(), last).ec !=
            std::errc()) {
        return std::nullopt;
    }
    return last == 0 ? 0 : last + 1;
}

class Uploader {
  public:
    Uploader(Http& http,
             const std::string& repository,
             const Layer& layer,
             int fd,
             const OnProgress& on_progress)
        : http_(http),
          repository_(repository),
          layer_(layer),
          on_progress_(on_progress),
          fd_(fd),
          total_(static_cast<std::uint64_t>(layer.size.count())),
          what_("pushing " + layer.digest.hex().substr(0, 12)) {}

    /// Each turn of the loop is one request that brings the upload on, or finds out where it is.
    Status run() {
        while (!done_) {
            if (session_.empty()) {
                DROVER_TRY(begin());
                continue;
            }
            const bool commits = at_ == total_;
            const auto answer = http_.send(commits ? commit() : piece());
            if (!answer.ok()) {
                return answer.error().with(what_);
            }
            if (is_taken(*answer, commits)) {
                failures_ = 0;
                done_ = commits;
                at_ = commits ? total_ : std::min(at_ + kUploadPiece, total_);
                go_on_at(answer->head);
                tell(at_);
            } else {
                DROVER_TRY(recover(*answer, commits ? commit().url : session_));
            }
        }
        return {};
    }

  private:
    /// Looks whether the blob is there, and opens a session for it if not.
    Status begin() {
        const std::string blob = repository_ + "/blobs/" + layer_.digest.to_string();
        const auto there = http_.send_patiently({.url = blob, .method = "HEAD"}, what_);
        if (!there.ok()) {
            return there.error();
        }
        if (there->head.status == kOk) {
            done_ = true;
            tell(total_);
            return {};
        }
        if (there->head.status != kNotFound) {
            return push_failure(*there, blob, what_);
        }
        const std::string uploads = repository_ + "/blobs/uploads/";
        const auto begun = http_.send_patiently(
            {.url = uploads, .method = "POST", .content_type = "application/octet-stream"}, what_);
        if (!begun.ok()) {
            return begun.error();
        }
        session_ = resolved(uploads, begun->head.location);
        if (begun->head.status != kAccepted || begun->head.location.empty() || session_.empty()) {
            return push_failure(*begun, uploads, what_);
        }
        at_ = 0;
        tell(at_);
        return {};
    }

    HttpRequest piece() const {
        const std::uint64_t size = std::min(kUploadPiece, total_ - at_);
        return {.url = session_,
                .method = "PATCH",
                .content_type = "application/octet-stream",
                .content_range = std::to_string(at_) + "-" + std::to_string(at_ + size - 1),
                .slice = FileSlice{fd_, at_, size},
                .on_sent = [this](std::uint64_t sent) {
                    tell(std::min(at_ + sent, total_));
                }};
    }

    HttpRequest commit() const {
        const char* joint = session_.find('?') == std::string::npos ? "?" : "&";
        return {.url = session_ + joint + "digest=" + layer_.digest.to_string(),
                .method = "PUT",
                .content_type = "application/octet-stream",
                .patience = kCommitPatience};
    }

    static bool is_taken(const HttpAnswer& answer, bool commits) {
        const long status = answer.head.status;
        return answer.trouble.empty() &&
               (commits ? status == kCreated || status == kNoContent || status == kOk
                        : status == kAccepted || status == kNoContent || status == kCreated);
    }

    void go_on_at(const HttpHead& head) {
        if (const std::string next = resolved(session_, head.location);
            !head.location.empty() && !next.empty()) {
            session_ = next;
        }
    }

    /// After a request that was not taken: waits, then asks how much is there.
    Status recover(const HttpAnswer& answer, const std::string& url) {
        const long status = answer.head.status;
        const bool lost = answer.trouble.empty() && status == kNotFound;
        const bool elsewhere =
            answer.trouble.empty() && (status == kRangeNotSatisfiable || status == kConflict);
        if (!answer.may_pass() && !lost && !elsewhere) {
            return push_failure(answer, url, what_);
        }
        if (++failures_ >= http_.options().attempts) {
            return push_failure(answer, url, what_);
        }
        if (!platform::pause(http_.delay(failures_, answer.head), http_.stop())) {
            return Error{ErrorCode::cancelled, what_ + ": it was stopped"};
        }
        if (lost) {
            session_.clear();
            return {};
        }
        const auto state = http_.send({.url = session_});
        if (!state.ok()) {
            return state.error().with(what_);
        }
        if (state->trouble.empty() && state->head.status == kNotFound) {
            session_.clear();  // gone, or the blob has been taken after all
        } else if (const auto there = end_of_range(state->head.range);
                   state->trouble.empty() && there.has_value() && *there <= total_) {
            failures_ = *there > at_ ? 0 : failures_;
            at_ = *there;
            go_on_at(state->head);
        }
        return {};
    }

    void tell(std::uint64_t completed) const {
        on_progress_({.status = what_,
                      .digest = layer_.digest.to_string(),
                      .total = layer_.size,
                      .completed = Bytes(static_cast<std::int64_t>(completed))});
    }

    Http& http_;
    const std::string& repository_;
    const Layer& layer_;
    const OnProgress& on_progress_;
    int fd_;
    std::uint64_t total_;
    std::string what_;
    std::string session_;  ///< where the registry wants the next piece; empty: not begun
    std::uint64_t at_ = 0;
    int failures_ = 0;  ///< in a row without progress
    bool done_ = false;
};

}  // namespace

Status upload(Http& http,
              const Store& store,
              const std::string& repository,
              const Layer& layer,
              const OnProgress& on_progress) {
    const std::filesystem::path file = store.blob(layer.digest);
    const OpenFile open(file);
    if (open.fd() < 0 || !store.has(layer.digest, layer.size)) {
        return Error{ErrorCode::not_found,
                     "the blob " + file.string() + " is missing or damaged; pull the model again"};
    }
    return Uploader(http, repository, layer, open.fd(), on_progress).run();
}

Error push_failure(const HttpAnswer& answer, const std::string& url, const std::string& what) {
    const std::string registry = origin_of(url);
    if (!answer.trouble.empty()) {
        return {ErrorCode::unavailable,
                what + ": " + registry + ": " + answer.trouble +
                    "; check the network, then push again: what is there is kept"};
    }
    const Error failure = Http::failure(answer.head, answer.body, what);
    if (failure.code == ErrorCode::unauthorized) {
        return {failure.code,
                what + ": " + registry + " takes nothing from somebody without an account (" +
                    std::to_string(answer.head.status) +
                    "), and Drover has none there; push with that registry's own program"};
    }
    if (answer.head.status == kNotFound) {
        return {failure.code, what + ": " + registry + " takes no uploads there (404)"};
    }
    return failure;
}

}  // namespace drover::store
