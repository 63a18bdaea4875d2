#include "gateway/response_relay.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "gateway/dialect/engine_error.hpp"
#include "gateway/dialect/ollama_embedding.hpp"
#include "gateway/http_status.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

namespace {

/// Up to here a response of known size is sent in one piece.
constexpr std::size_t kSmallMax = 64 * 1024;
/// So much of an error reply is kept; the rest is dropped.
constexpr std::size_t kErrorMax = 1024 * 1024;
/// An event longer than this is sent in pieces after all.
constexpr std::size_t kHeldEventMax = 256 * 1024;

constexpr std::string_view kNoRetry = "x-should-retry: false\r\n";

/// Where the last complete event of `stream` ends; 0 when there is none.
std::size_t end_of_last_event(std::string_view stream) {
    const std::size_t lf = stream.rfind("\n\n");
    const std::size_t crlf = stream.rfind("\r\n\r\n");
    return std::max(lf == std::string_view::npos ? 0 : lf + 2,
                    crlf == std::string_view::npos ? 0 : crlf + 4);
}

void append_number(std::string& text, std::size_t number) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    text.append(digits.data(), end);
}

}  // namespace

void ResponseRelay::start(const Terms& terms) {
    terms_ = terms;
    parser_.emplace(terms.head_request, head_, pieces_);
    pieces_.clear();
    output_.clear();
    framing_ = Framing::none;
    begun_ = false;
    keep_alive_ = terms.keep_alive;
    small_ = false;
    torn_ = false;
    tail_.clear();
    holds_ = false;
    too_long_ = false;
    watching_ = false;
    gathered_.clear();
    events_.clear();
    whole_ = 0;
}

std::size_t ResponseRelay::put(std::string_view input) {
    output_.clear();
    pieces_.clear();
    std::size_t used = 0;
    do {
        used += parser_->put(input.substr(used));
        if (parser_->done() && head_.status / 100 == 1 && head_.status != 101) {
            parser_.emplace(
                terms_.head_request, head_, pieces_);  // 1xx: the answer is still to come
        }
    } while (used < input.size() && !parser_->started());
    if (!parser_->failed() && parser_->head_done()) {
        note_tail();
        forward();
    }
    return used;
}

void ResponseRelay::put_eof() {
    output_.clear();
    pieces_.clear();
    const bool open_end = parser_->ends_with_connection();
    parser_->put_eof();
    torn_ = open_end && head_.event_stream && tail_.find("[DONE]") == std::string::npos &&
            tail_.find("message_stop") == std::string::npos;
    if (!failed()) {
        forward();
    }
}

void ResponseRelay::note_tail() {
    constexpr std::size_t kTail = 128;
    if (head_.event_stream && parser_->ends_with_connection()) {
        for (const std::string_view piece : pieces_) {
            tail_ += piece.substr(piece.size() - std::min(piece.size(), kTail));
        }
        tail_.erase(0, tail_.size() - std::min(tail_.size(), kTail));
    }
}

void ResponseRelay::forward() {
    if (!begun_ && framing_ == Framing::none) {
        decide_framing();
    }
    const bool changed = terms_.translator != nullptr || terms_.watched != nullptr;
    if (small_ && (!done() || !gathered_.empty() || changed || head_.status >= kHttpBadRequest)) {
        for (const std::string_view piece : pieces_) {
            gathered_ += holds_ ? piece.substr(0, kErrorMax - gathered_.size()) : piece;
        }
        pieces_.clear();
        if (!done()) {
            return;
        }
        translate_error();
        if (holds_ || !judge(true)) {
            return;
        }
        translate_whole();
        pieces_.emplace_back(gathered_);
    }
    if (head_.event_stream && framing_ != Framing::length) {
        if (!judge(false)) {
            return;
        }
        translate_events();
        take_events();
    }
    if (!begun_) {
        if (pieces_.empty() && !done()) {
            return;
        }
        build_head();
        output_.emplace_back(client_head_);
        begun_ = true;
    }
    emit_body();
}

/// False: nothing of the answer goes out now.
bool ResponseRelay::judge(bool whole) {
    dialect::WatchedAnswer* const watched = terms_.watched;
    if (watched == nullptr || head_.status >= kHttpBadRequest) {
        return true;
    }
    passed_.clear();
    if (whole) {
        watched->start(false);
        watched->put(gathered_, passed_);
    } else if (!begun_ && !watching_) {
        watched->start(true);
        watching_ = true;
    }
    for (const std::string_view piece : pieces_) {
        watched->put(piece, passed_);
    }
    if (done()) {
        watched->end(passed_);
    }
    pieces_.clear();
    if (watched->withheld() || (passed_.empty() && !(begun_ && done()))) {
        return false;
    }
    if (whole) {
        gathered_.swap(passed_);
        length_ = gathered_.size();
    } else {
        pieces_.emplace_back(passed_);
    }
    return true;
}

void ResponseRelay::hurry() {
    if (terms_.watched != nullptr) {
        terms_.watched->hurry();
    }
}

void ResponseRelay::translate_error() {
    if (head_.status < kHttpBadRequest) {
        return;
    }
    too_long_ = dialect::is_too_long(gathered_);
    auto translated = dialect::translate_engine_error(terms_.dialect, head_.status, gathered_);
    head_.status = translated.status;
    head_.reason = reason_phrase(head_.status);
    gathered_ = std::move(translated.body);
    length_ = gathered_.size();
    if (head_.status >= kHttpServerError && head_.status != kHttpUnavailable) {
        // Client libraries repeat every 5xx unless told that it is of no use.
        head_.headers += kNoRetry;
    }
}

void ResponseRelay::translate_events() {
    if (terms_.translator == nullptr || head_.status >= kHttpBadRequest) {
        return;
    }
    translated_.clear();
    for (const std::string_view piece : pieces_) {
        terms_.translator->put(piece, translated_);
    }
    if (done()) {
        terms_.translator->finish(translated_);
    }
    pieces_.assign(translated_.empty() ? 0 : 1, translated_);
}

void ResponseRelay::translate_whole() {
    if (terms_.translator != nullptr && head_.status < kHttpBadRequest) {
        gathered_ = terms_.translator->whole(gathered_);
        length_ = gathered_.size();
    }
}

Reply ResponseRelay::refusal() const {
    DROVER_ASSERT(refused());
    Reply reply{.status = head_.status, .body = gathered_};
    if (head_.status >= kHttpServerError && head_.status != kHttpUnavailable) {
        reply.headers = std::string(kNoRetry);
    }
    return reply;
}

void ResponseRelay::decide_framing() {
    const auto length = parser_->content_length();
    length_ = length;
    holds_ = terms_.holds_errors && head_.status >= kHttpBadRequest;
    if (terms_.translator != nullptr && !head_.event_stream) {
        framing_ = Framing::length;  // known when all is there
        small_ = true;
        return;
    }
    // A judged answer goes out whole, or as a stream that is framed anew, as a translated one does:
    // its length changes.
    const bool judged = terms_.watched != nullptr && head_.status < kHttpBadRequest;
    const bool anew = head_.event_stream && (judged || terms_.translator != nullptr);
    small_ = holds_ || (judged && !head_.event_stream);
    if (terms_.head_request || head_.status == 204 || head_.status == 304) {
        framing_ = Framing::none;
    } else if (length.has_value() && !anew) {
        framing_ = Framing::length;
        small_ = small_ || *length <= kSmallMax;
    } else if (terms_.http11) {
        framing_ = Framing::chunked;
    } else {
        framing_ = Framing::close;
        keep_alive_ = false;
    }
}

void ResponseRelay::build_head() {
    client_head_ = "HTTP/1.1 ";
    append_number(client_head_, head_.status);
    client_head_.append(" ").append(head_.reason).append("\r\n").append(head_.headers);
    if (length_.has_value() && head_.status != 204 && framing_ != Framing::chunked) {
        client_head_ += "Content-Length: ";
        append_number(client_head_, *length_);
        client_head_ += "\r\n";
    } else if (framing_ == Framing::chunked) {
        client_head_ += "Transfer-Encoding: chunked\r\n";
    }
    client_head_ += "x-drover-model: ";
    append_header_value(client_head_, terms_.model);
    client_head_.append("\r\n").append(terms_.headers);
    if (terms_.watched != nullptr) {
        client_head_ += terms_.watched->header(platform::now());
    }
    if (!keep_alive_) {
        client_head_ += "Connection: close\r\n";
    } else if (!terms_.http11) {
        client_head_ += "Connection: keep-alive\r\n";
    }
    client_head_ += "\r\n";
}

void ResponseRelay::take_events() {
    events_.erase(0, whole_);
    whole_ = 0;
    const bool whole = events_.empty() && (pieces_.empty() || pieces_.back().ends_with("\n\n"));
    if (whole) {
        return;
    }
    for (const std::string_view piece : pieces_) {
        events_ += piece;
    }
    pieces_.clear();
    const bool all = done() || events_.size() > kHeldEventMax;
    whole_ = all ? events_.size() : end_of_last_event(events_);
    if (whole_ > 0) {
        pieces_.push_back(std::string_view(events_).substr(0, whole_));
    }
}

void ResponseRelay::emit_body() {
    if (framing_ == Framing::none) {
        return;
    }
    std::size_t size = 0;
    for (const std::string_view piece : pieces_) {
        size += piece.size();
    }
    if (framing_ != Framing::chunked) {
        output_.insert(output_.end(), pieces_.begin(), pieces_.end());
        return;
    }
    if (size > 0) {
        char* end =
            std::to_chars(chunk_head_.data(), chunk_head_.data() + chunk_head_.size() - 2, size, 16)
                .ptr;
        *end++ = '\r';
        *end++ = '\n';
        output_.emplace_back(chunk_head_.data(),
                             static_cast<std::size_t>(end - chunk_head_.data()));
        output_.insert(output_.end(), pieces_.begin(), pieces_.end());
        output_.emplace_back("\r\n");
    }
    if (done()) {
        output_.emplace_back(kLastChunk);
    }
}

bool ResponseRelay::fail(const ErrorRow& row, std::string_view message) {
    DROVER_ASSERT(begun_);
    output_.clear();
    if (!head_.event_stream || (framing_ != Framing::chunked && framing_ != Framing::close)) {
        return false;
    }
    const std::string event = error_event(terms_.dialect, row, message);
    ending_.clear();
    if (framing_ == Framing::chunked) {
        std::array<char, 24> size;
        const auto end =
            std::to_chars(size.data(), size.data() + size.size(), event.size(), 16).ptr;
        ending_.append(size.data(), end)
            .append("\r\n")
            .append(event)
            .append("\r\n")
            .append(kLastChunk);
    } else {
        ending_ = event;
    }
    output_.emplace_back(ending_);
    return true;
}

}  // namespace drover::gateway
