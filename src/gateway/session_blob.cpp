// The part of a session that takes blobs, which are larger than memory.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "gateway/session.hpp"

namespace drover::gateway {

using platform::Task;

namespace {

/// What a thread is given to write at a time.
constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::size_t kBlobReadSize = std::size_t{64} << 10;

}  // namespace

Task<> Session::find_blob(const Route& route) {
    const auto there = context_.library.has_blob(head_.path.substr(route.path.size()));
    if (!there.ok()) {
        co_return co_await reply(error_reply(route.dialect, there.error()));
    }
    Reply answer{.status = *there ? 200U : 404U};
    co_await reply(std::move(answer));
}

Task<> Session::receive_blob(const Route& route) {
    const std::string digest = head_.path.substr(route.path.size());
    const auto there = context_.library.has_blob(digest);
    if (!there.ok() || *there) {
        // What the client sends is not needed, so it is not read.
        keep_alive_ = keep_alive_ && !parser_->expects_body();
        Reply known = there.ok() ? Reply{.status = 200} : error_reply(route.dialect, there.error());
        co_return co_await reply(std::move(known));
    }
    std::optional<Bytes> size;
    if (const auto length = parser_->content_length(); length.has_value()) {
        constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
        size = Bytes(static_cast<std::int64_t>(std::min(*length, kMost)));
    }
    const auto blob = co_await context_.library.receive_blob(digest, size);
    Status stored = blob.ok() ? Status() : Status(blob.error());
    if (blob.ok()) {
        stored = co_await store_body(**blob);
    }
    if (client_.gone()) {
        co_return;
    }
    if (parser_->refusal().has_value() || timed_out_) {
        keep_alive_ = false;
        co_return co_await reply(refused_by_parser());
    }
    keep_alive_ = keep_alive_ && !parser_->expects_body();
    Reply created = stored.ok() ? Reply{.status = 201} : error_reply(route.dialect, stored.error());
    co_await reply(std::move(created));
}

/// Success means that the whole body is in the store, a failure that it could not be written; else
/// the client has left, was too slow, or sent what is no HTTP.
Task<Status> Session::store_body(store::BlobReceiver& blob) {
    co_await invite_body();
    bool more = true;
    while (more && !parser_->refusal().has_value()) {
        if (!client_.input().empty()) {
            client_.consume(parser_->put(client_.input()));
        }
        if (body_.size() >= kPiece || (parser_->done() && !body_.empty())) {
            std::string piece = std::exchange(body_, {});
            Status written = co_await blob.write(std::move(piece));
            if (!written.ok()) {
                co_return written;
            }
        }
        if (parser_->done()) {
            co_return co_await blob.finish();
        }
        // A large body takes as long as it takes; only what comes next must come in time.
        deadline_.set(Waiting::body, context_.limits.body_timeout);
        more = co_await client_.more(kBlobReadSize);
        deadline_.clear();
    }
    co_return Status();
}

}  // namespace drover::gateway
