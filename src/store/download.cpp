#include "store/download.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fstream>
#include <list>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/clock.hpp"
#include "platform/files.hpp"
#include "platform/os_error.hpp"
#include "platform/pause.hpp"
#include "store/transfer.hpp"

namespace drover::store {

namespace fs = std::filesystem;

namespace {

/// A range is at least this long: shorter ones cost more in round trips than they win.
constexpr std::uint64_t kPieceMin = std::uint64_t{4} << 20;
constexpr std::uint64_t kPieceMax = std::uint64_t{128} << 20;
constexpr Bytes kJournalMax = 64_MiB;
constexpr std::chrono::milliseconds kTellEvery{100};
constexpr std::chrono::milliseconds kLookEvery{200};
constexpr std::size_t kReadSize = std::size_t{1} << 20;
constexpr mode_t kJournalMode = S_IRUSR | S_IWUSR;

Error stopped_error() {
    return {ErrorCode::cancelled, "the pull was stopped; what is there is kept"};
}

std::string short_name(const RemoteBlob& blob) {
    constexpr std::size_t kDigits = 12;
    return blob.digest.has_value() ? blob.digest->hex().substr(0, kDigits) : blob.label;
}

fs::path partial_file(const Store& store, const RemoteBlob& blob) {
    // A file whose content is not known by a digest is the same one only at the same address, with
    // the same size and the server's own mark of its version.
    const std::string name = blob.digest.has_value()
                                 ? blob.digest->file_name()
                                 : "url-" + digest_of(blob.url + "\n" + blob.label + "\n" +
                                                      std::to_string(blob.size.count()))
                                                .hex();
    return store.root() / "blobs" / (name + "-partial");
}

fs::path journal_of(const fs::path& partial) {
    return partial.string() + "-ranges";
}

/// What an earlier attempt has brought. Nothing when its file is gone.
ByteRanges received(const fs::path& partial, std::uint64_t total) {
    std::error_code error;
    const auto text = platform::read_file(journal_of(partial), kJournalMax);
    if (!text.ok() || fs::file_size(partial, error) != total || error) {
        return {};
    }
    return ByteRanges::from_journal(*text, total);
}

class Journal {
  public:
    explicit Journal(const fs::path& file)
        : fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kJournalMode)) {}
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal() { ::close(fd_); }

    bool ok() const { return fd_ >= 0; }
    void add(ByteRange range) const {
        const std::string line = journal_line(range);
        // A line that could not be written is only a range that is fetched again.
        static_cast<void>(!::write(fd_, line.data(), line.size()));
    }

  private:
    int fd_;
};

/// All transfers of one blob.
class Swarm {
  public:
    Swarm(Http& http, const RemoteBlob& blob, int fd, const Journal& journal, ByteRanges received)
        : http_(http),
          blob_(blob),
          fd_(fd),
          journal_(journal),
          received_(std::move(received)),
          total_(static_cast<std::uint64_t>(blob.size.count())) {
        // Several connections, not several streams in one: a single one is what servers throttle.
        curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    }
    Swarm(const Swarm&) = delete;
    Swarm& operator=(const Swarm&) = delete;
    ~Swarm() { drop_all(); }

    Status run(unsigned connections, const OnProgress& on_progress) {
        connections_ = connections;
        const std::uint64_t piece =
            std::clamp(total_ / (connections * std::uint64_t{4}), kPieceMin, kPieceMax);
        for (const ByteRange& gap : received_.missing(total_, piece)) {
            waiting_.push_back(
                std::make_unique<Transfer>(fd_, gap, [this](ByteRange range) { note(range); }));
        }
        TimePoint told{};
        while (!waiting_.empty() || !running_.empty()) {
            if (http_.stopped()) {
                drop_all();
                return stopped_error();
            }
            DROVER_TRY(start_waiting());
            int running = 0;
            curl_multi_perform(multi_.get(), &running);
            DROVER_TRY(take_finished());
            if (const TimePoint now = platform::now(); now - told >= kTellEvery) {
                told = now;
                tell(on_progress);
            }
            curl_multi_poll(
                multi_.get(), nullptr, 0, static_cast<int>(kTellEvery.count()), nullptr);
        }
        tell(on_progress);
        return {};
    }

  private:
    using Multi = std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)>;

    void note(ByteRange range) {
        received_.add(range);
        journal_.add(range);
        failures_ = 0;
    }

    void tell(const OnProgress& on_progress) const {
        on_progress({.status = "pulling " + short_name(blob_),
                     .digest = blob_.digest.has_value() ? blob_.digest->to_string() : "",
                     .total = blob_.size,
                     .completed = Bytes(static_cast<std::int64_t>(received_.covered()))});
    }

    Status start_waiting() {
        while (!waiting_.empty() && running_.size() < connections_ &&
               platform::now() >= not_before_) {
            std::unique_ptr<Transfer> transfer = std::move(waiting_.front());
            waiting_.pop_front();
            DROVER_TRY(transfer->start(http_, blob_.url, total_));
            curl_multi_add_handle(multi_.get(), transfer->handle());
            running_.push_back(std::move(transfer));
        }
        return {};
    }

    Status take_finished() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
            if (message->msg != CURLMSG_DONE) {
                continue;
            }
            const CURL* handle = message->easy_handle;
            const CURLcode code = message->data.result;
            const auto found =
                std::find_if(running_.begin(), running_.end(), [handle](const auto& one) {
                    return one->handle() == handle;
                });
            std::unique_ptr<Transfer> transfer = std::move(*found);
            running_.erase(found);
            curl_multi_remove_handle(multi_.get(), transfer->handle());
            DROVER_TRY(end(std::move(transfer), code));
        }
        return {};
    }

    Status end(std::unique_ptr<Transfer> transfer, CURLcode code) {
        switch (transfer->finish(code, short_name(blob_))) {
            case TransferEnd::complete:
                return {};
            case TransferEnd::failed:
                return transfer->error();
            case TransferEnd::no_ranges:
                return fetch_whole();
            case TransferEnd::unauthorised:
                if (++refusals_ > connections_ * 4 ||
                    !http_.answer_challenge(blob_.url, transfer->head().challenge)) {
                    return Http::failure(transfer->head(), "", short_name(blob_));
                }
                break;
            case TransferEnd::passing:
                if (!transfer->progressed() && ++failures_ >= http_.options().attempts) {
                    return transfer->error();
                }
                not_before_ = platform::now() + http_.delay(failures_, transfer->head());
                break;
        }
        waiting_.push_front(std::move(transfer));
        return {};
    }

    /// The server cannot send parts: one transfer from the start, unless it runs already.
    Status fetch_whole() {
        waiting_.clear();
        const auto is_whole = [this](const auto& one) {
            return one->range() == ByteRange{0, total_};
        };
        if (const auto whole = std::find_if(running_.begin(), running_.end(), is_whole);
            whole != running_.end()) {
            return {};
        }
        drop_all();
        if (whole_tried_++ >= http_.options().attempts) {
            return Error{ErrorCode::unavailable,
                         short_name(blob_) +
                             ": the server sends only whole files, and every "
                             "attempt was cut; pull again later"};
        }
        received_ = {};
        waiting_.push_back(std::make_unique<Transfer>(
            fd_, ByteRange{0, total_}, [this](ByteRange range) { note(range); }));
        return {};
    }

    void drop_all() {
        for (const auto& transfer : running_) {
            curl_multi_remove_handle(multi_.get(), transfer->handle());
            transfer->finish(CURLE_ABORTED_BY_CALLBACK, "");
        }
        running_.clear();
    }

    Http& http_;
    const RemoteBlob& blob_;
    int fd_;
    const Journal& journal_;
    ByteRanges received_;
    std::uint64_t total_;
    std::size_t connections_ = 1;
    Multi multi_{curl_multi_init(), curl_multi_cleanup};
    std::deque<std::unique_ptr<Transfer>> waiting_;
    std::list<std::unique_ptr<Transfer>> running_;
    TimePoint not_before_{};
    int failures_ = 0;
    int whole_tried_ = 0;
    std::size_t refusals_ = 0;
};

/// Waits until nobody else brings this blob: then it is there, or it is our turn.
Result<std::optional<platform::FileLock>> take_turn(const Http& http,
                                                    const Store& store,
                                                    const RemoteBlob& blob,
                                                    const OnProgress& on_progress) {
    const fs::path partial = partial_file(store, blob);
    for (;;) {
        auto lock = platform::FileLock::try_exclusive(partial);
        if (blob.digest.has_value() && store.has(*blob.digest, blob.size)) {
            if (lock.ok()) {
                ::unlink(partial.c_str());
            }
            return std::optional<platform::FileLock>();
        }
        if (lock.ok()) {
            return std::optional(std::move(*lock));
        }
        if (lock.error().code != ErrorCode::unavailable) {
            return lock.error();
        }
        on_progress({.status = "pulling " + short_name(blob),
                     .digest = blob.digest.has_value() ? blob.digest->to_string() : "",
                     .total = blob.size,
                     .completed = blob.size - missing_bytes(store, blob)});
        if (!platform::pause(kLookEvery, http.stop())) {
            return stopped_error();
        }
    }
}

/// The file is complete: checks it and gives it its name.
Result<Digest> admit(const Http& http,
                     const Store& store,
                     const RemoteBlob& blob,
                     int fd,
                     const OnProgress& on_progress) {
    const fs::path partial = partial_file(store, blob);
    const auto on_read = [&](Bytes done) {
        on_progress({.status = "verifying sha256 digest", .total = blob.size, .completed = done});
    };
    auto digest = digest_of_file(partial, on_read, http.stop());
    if (!digest.ok()) {
        return digest.error();
    }
    if (blob.digest.has_value() && *digest != *blob.digest) {
        ::unlink(journal_of(partial).c_str());
        ::unlink(partial.c_str());
        return Error{ErrorCode::io_error,
                     "what was received for " + short_name(blob) + " has another digest (" +
                         digest->to_string() +
                         "), so it was damaged on its way or on the server; it is removed, pull "
                         "again"};
    }
    if (::fdatasync(fd) != 0 || ::rename(partial.c_str(), store.blob(*digest).c_str()) != 0) {
        return platform::os_error(partial.string(), errno);
    }
    ::unlink(journal_of(partial).c_str());
    return digest;
}

}  // namespace

Bytes missing_bytes(const Store& store, const RemoteBlob& blob) {
    if (blob.digest.has_value() && store.has(*blob.digest, blob.size)) {
        return Bytes(0);
    }
    const auto total = static_cast<std::uint64_t>(blob.size.count());
    return blob.size -
           Bytes(static_cast<std::int64_t>(received(partial_file(store, blob), total).covered()));
}

Result<Digest> download(Http& http,
                        const Store& store,
                        const RemoteBlob& blob,
                        unsigned connections,
                        const OnProgress& on_progress) {
    auto turn = take_turn(http, store, blob, on_progress);
    if (!turn.ok()) {
        return turn.error();
    }
    if (!turn->has_value()) {
        on_progress({.status = "pulling " + short_name(blob),
                     .digest = blob.digest->to_string(),
                     .total = blob.size,
                     .completed = blob.size});
        return *blob.digest;
    }
    const int fd = (**turn).fd();
    const fs::path partial = partial_file(store, blob);
    const auto total = static_cast<std::uint64_t>(blob.size.count());
    ByteRanges there = received(partial, total);
    if (there.covered() == 0) {
        ::unlink(journal_of(partial).c_str());
    }
    if (::ftruncate(fd, static_cast<off_t>(total)) != 0) {
        return platform::os_error(partial.string(), errno);
    }
    const Journal journal(journal_of(partial));
    if (!journal.ok()) {
        return platform::os_error(journal_of(partial).string(), errno);
    }
    Swarm swarm(http, blob, fd, journal, std::move(there));
    DROVER_TRY(swarm.run(std::max(connections, 1U), on_progress));
    return admit(http, store, blob, fd, on_progress);
}

Result<Digest> digest_of_file(const fs::path& file,
                              const std::function<void(Bytes)>& on_read,
                              const Stopped& stopped) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        return Error{ErrorCode::io_error, file.string() + " cannot be opened"};
    }
    Sha256 sha;
    Bytes done;
    std::string piece(kReadSize, '\0');
    while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
        if (stopped && stopped()) {
            return stopped_error();
        }
        sha.put(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
        done += Bytes(in.gcount());
        on_read(done);
    }
    if (!in.eof()) {
        return Error{ErrorCode::io_error, file.string() + " cannot be read"};
    }
    return sha.finish();
}

Result<Layer> import_file(const Store& store,
                          const fs::path& file,
                          const OnProgress& on_progress,
                          const Stopped& stopped) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error) {
        return Error{ErrorCode::not_found, file.string() + ": " + error.message()};
    }
    const Bytes total(static_cast<std::int64_t>(size));
    const auto on_read = [&](Bytes done) {
        on_progress(
            {.status = "reading " + file.filename().string(), .total = total, .completed = done});
    };
    auto digest = digest_of_file(file, on_read, stopped);
    if (!digest.ok()) {
        return digest.error();
    }
    Layer layer{.media_type = media_type(layer_kind::kModel),
                .digest = *digest,
                .size = total,
                .title = file.filename().string()};
    if (!store.has(*digest, total)) {
        // Copied under another name first, so that a blob is complete or not there. The copy is one
        // of the file system's own where that can share the data.
        const RemoteBlob blob{.url = "", .digest = *digest, .size = total, .label = ""};
        const fs::path partial = partial_file(store, blob);
        const auto lock = platform::FileLock::try_exclusive(partial);
        if (!lock.ok()) {
            return lock.error();
        }
        fs::copy_file(file, partial, fs::copy_options::overwrite_existing, error);
        if (error || ::fdatasync(lock->fd()) != 0) {
            return platform::os_error(partial.string(), errno);
        }
        fs::rename(partial, store.blob(*digest), error);
        if (error) {
            return Error{ErrorCode::io_error, partial.string() + ": " + error.message()};
        }
    }
    return layer;
}

}  // namespace drover::store
