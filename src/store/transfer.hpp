// One range of a blob on its way: a curl handle that writes to its place in the file. Blocks; one
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "platform/clock.hpp"
#include "store/byte_ranges.hpp"
#include "store/http.hpp"

namespace drover::store {

/// How a transfer ended.
enum class TransferEnd {
    complete,
    passing,       ///< may go better next time
    unauthorised,  ///< the token has expired, or there is none
    no_ranges,     ///< the server sends only whole files
    failed,        ///< for good; error() says why
};

class Transfer {
  public:
    /// Writes to the file `fd`. `on_bytes` hears of ranges when they are in the file.
    Transfer(int fd, ByteRange range, std::function<void(ByteRange)> on_bytes);

    /// Prepares a request for what is left of the range; `total` is the size of the blob.
    Status start(const Http& http, const std::string& url, std::uint64_t total);

    /// Tells on_bytes what came since it last did, and says how the request ended.
    TransferEnd finish(CURLcode code, const std::string& what);

    CURL* handle() const { return handle_.get(); }
    const ByteRange& range() const { return range_; }
    std::uint64_t at() const { return at_; }
    const HttpHead& head() const { return head_; }
    const Error& error() const { return error_; }
    bool progressed() const { return at_ > started_at_; }

  private:
    static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self);
    bool accept(std::string_view data);
    bool accept_head();
    void tell();

    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle_{curl_easy_init(),
                                                                curl_easy_cleanup};
    int fd_;
    ByteRange range_;
    std::function<void(ByteRange)> on_bytes_;
    std::uint64_t total_ = 0;
    std::uint64_t at_;
    std::uint64_t told_;
    std::uint64_t started_at_;
    HttpHead head_;
    bool head_seen_ = false;
    bool no_ranges_ = false;
    std::string error_body_;
    Error error_{};
};

}  // namespace drover::store
