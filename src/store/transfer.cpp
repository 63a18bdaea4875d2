#include "store/transfer.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace drover::store {

namespace {

/// A killed program loses at most this much of each range.
constexpr std::uint64_t kTellEveryBytes = std::uint64_t{1} << 20;
constexpr std::size_t kErrorBodyMax = 4096;

bool write_at(int fd, std::string_view data, std::uint64_t at) {
    while (!data.empty()) {
        const ssize_t count = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(at));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        at += static_cast<std::uint64_t>(count);
        data.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

Transfer::Transfer(int fd, ByteRange range, std::function<void(ByteRange)> on_bytes)
    : fd_(fd),
      range_(range),
      on_bytes_(std::move(on_bytes)),
      at_(range.begin),
      told_(range.begin),
      started_at_(range.begin) {}

Status Transfer::start(const Http& http, const std::string& url, std::uint64_t total) {
    total_ = total;
    head_ = {};
    head_seen_ = no_ranges_ = false;
    error_body_.clear();
    error_ = {};
    started_at_ = at_;
    curl_easy_reset(handle_.get());
    DROVER_TRY(http.prepare(handle_.get(), url, head_));
    if (at_ != 0 || range_.end != total_) {
        const std::string range = std::to_string(at_) + "-" + std::to_string(range_.end - 1);
        curl_easy_setopt(handle_.get(), CURLOPT_RANGE, range.c_str());
    }
    curl_easy_setopt(handle_.get(), CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(handle_.get(), CURLOPT_WRITEDATA, this);
    curl_easy_setopt(handle_.get(), CURLOPT_PRIVATE, this);
    return {};
}

std::size_t Transfer::on_data(char* data, std::size_t size, std::size_t count, void* self) {
    const std::string_view piece(data, size * count);
    return static_cast<Transfer*>(self)->accept(piece) ? piece.size() : CURL_WRITEFUNC_ERROR;
}

bool Transfer::accept_head() {
    head_seen_ = true;
    if (head_.status == 206) {
        const std::string wanted = "bytes " + std::to_string(at_) + "-";
        if (!head_.content_range.starts_with(wanted)) {
            error_ = {ErrorCode::io_error,
                      "the server sends '" + head_.content_range.substr(0, 100) +
                          "' when asked for " + wanted + std::to_string(range_.end - 1)};
            return false;
        }
        return true;
    }
    if (head_.status == 200 && at_ == 0) {
        range_.end = total_;  // all of it, whatever was asked for
        return true;
    }
    no_ranges_ = head_.status == 200;
    return !no_ranges_;
}

bool Transfer::accept(std::string_view data) {
    if (!head_seen_ && !accept_head()) {
        return false;
    }
    if (head_.status != 200 && head_.status != 206) {
        error_body_ += data.substr(0, kErrorBodyMax - std::min(error_body_.size(), kErrorBodyMax));
        return true;
    }
    if (data.size() > range_.end - at_) {
        error_ = {ErrorCode::io_error, "the server sends more than the manifest says"};
        return false;
    }
    if (!write_at(fd_, data, at_)) {
        error_ = {ErrorCode::io_error,
                  "cannot write to the store: " + std::generic_category().message(errno)};
        return false;
    }
    at_ += data.size();
    if (at_ - told_ >= kTellEveryBytes || at_ == range_.end) {
        tell();
    }
    return true;
}

void Transfer::tell() {
    if (at_ > told_) {
        on_bytes_({std::exchange(told_, at_), at_});
    }
}

TransferEnd Transfer::finish(CURLcode code, const std::string& what) {
    tell();
    if (no_ranges_) {
        return TransferEnd::no_ranges;
    }
    if (!error_.message.empty()) {
        error_ = error_.with(what);
        return TransferEnd::failed;
    }
    if (code == CURLE_OK && head_.status == 401) {
        return TransferEnd::unauthorised;
    }
    const bool answered = head_.status == 200 || head_.status == 206;
    if (code == CURLE_OK && answered && at_ == range_.end) {
        return TransferEnd::complete;
    }
    if (code == CURLE_OK && !answered && !is_passing(head_.status)) {
        error_ = Http::failure(head_, error_body_, what);
        return TransferEnd::failed;
    }
    // An answer that ended too early, or none: what a dropped connection looks like.
    error_ = code == CURLE_OK && !answered
                 ? Http::failure(head_, error_body_, what)
                 : Error{ErrorCode::unavailable,
                         what + ": " +
                             (code == CURLE_OK ? "the connection ended early"
                                               : curl_easy_strerror(code)) +
                             "; check the network, then pull again: what is there is kept"};
    return TransferEnd::passing;
}

}  // namespace drover::store
