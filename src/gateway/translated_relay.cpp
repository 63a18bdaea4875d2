#include "gateway/translated_relay.hpp"

#include <array>
#include <charconv>

#include "base/assert.hpp"
#include "gateway/http_status.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

namespace {

/// What is gathered at most: a large batch of embeddings fits.
constexpr std::size_t kBodyMax = std::size_t{256} << 20;

void append_chunk(std::string& out, std::string_view data) {
    std::array<char, 24> size;
    const auto end = std::to_chars(size.data(), size.data() + size.size(), data.size(), 16).ptr;
    out.append(size.data(), end).append("\r\n").append(data).append("\r\n");
}

}  // namespace

void TranslatedRelay::start(const Terms& terms) {
    terms_ = terms;
    parser_.emplace(false, head_, pieces_);
    pieces_.clear();
    output_.clear();
    body_.clear();
    lines_.clear();
    begun_ = false;
    ended_ = false;
    overflow_ = false;
    if (begin_) {
        begin_();
    }
}

std::size_t TranslatedRelay::put(std::string_view input) {
    output_.clear();
    pieces_.clear();
    std::size_t used = 0;
    do {
        used += parser_->put(input.substr(used));
        if (parser_->done() && head_.status / 100 == 1) {
            parser_.emplace(false, head_, pieces_);  // 1xx: the answer is still to come
        }
    } while (used < input.size() && !parser_->started());
    take_pieces();
    return used;
}

void TranslatedRelay::put_eof() {
    output_.clear();
    pieces_.clear();
    parser_->put_eof();
    take_pieces();
}

void TranslatedRelay::take_pieces() {
    lines_.clear();
    for (const std::string_view piece : pieces_) {
        if (translate_ && head_.status == kHttpOk) {
            translate_(piece, lines_);
        } else if (body_.size() + piece.size() > kBodyMax) {
            overflow_ = true;
        } else {
            body_ += piece;
        }
    }
    if (!lines_.empty()) {
        emit(lines_, false);
    }
}

void TranslatedRelay::emit(std::string_view lines, bool last) {
    written_.clear();
    if (!begun_) {
        written_ += "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n";
        written_ += terms_.http11 ? "Transfer-Encoding: chunked\r\n" : "";
        written_ += "x-drover-model: ";
        append_header_value(written_, terms_.model);
        written_.append("\r\n").append(terms_.headers);
        if (terms_.watched != nullptr) {
            written_ += terms_.watched->header(platform::now());
        }
        written_ += client_keeps_alive() ? "\r\n" : "Connection: close\r\n\r\n";
        begun_ = true;
    }
    if (!terms_.http11) {
        written_ += lines;
    } else if (!lines.empty()) {
        append_chunk(written_, lines);
    }
    if (last) {
        written_ += terms_.http11 ? kLastChunk : "";
        ended_ = true;
    }
    output_.assign(1, written_);
}

void TranslatedRelay::finish(std::string_view lines) {
    DROVER_ASSERT(!ended_);
    emit(lines, true);
}

bool TranslatedRelay::fail(const ErrorRow& row, std::string_view message) {
    DROVER_ASSERT(begun_);
    finish(error_body(terms_.dialect, row, message) + "\n");
    return true;
}

}  // namespace drover::gateway
