// What becomes of an engine's response on its way to the client. No I/O; one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "gateway/dialect.hpp"
#include "gateway/dialect/answer_translator.hpp"
#include "gateway/dialect/watched_answer.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway {

/// Ends a chunked body.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// Takes the bytes of one response as they come from the engine and has ready what the client gets
/// of them.
class Relay {
  public:
    /// How the client asked.
    struct Terms {
        Dialect dialect = Dialect::openai;
        bool head_request = false;
        bool http11 = true;
        bool keep_alive = true;
        std::string_view model;      ///< for x-drover-model; outlives the response
        std::string_view headers{};  ///< further lines, each with its CRLF; likewise
        /// What the body of a successful answer becomes, once it was judged; null: it stays as it
        /// is. Likewise.
        dialect::AnswerTranslator* translator = nullptr;
        bool holds_errors = false;  ///< an error reply is kept, not sent; see withheld()
        /// Judges the answer and changes it on its way; null: it passes. Outlives the response.
        dialect::WatchedAnswer* watched = nullptr;
    };

    virtual ~Relay() = default;

    /// Ready for the next response.
    virtual void start(const Terms& terms) = 0;

    /// Takes what the engine sent and returns how much of it was understood. output() then has what
    /// to write, made of views into `input` among others.
    virtual std::size_t put(std::string_view input) = 0;

    /// The engine closed the connection.
    virtual void put_eof() = 0;

    /// To be written to the client now, in order; valid until the next call.
    virtual const std::vector<std::string_view>& output() const = 0;

    /// The engine has sent something.
    virtual bool answered() const = 0;
    /// Of its body, too: it has more to say than that there will be an answer.
    virtual bool body_begun() const = 0;
    /// The client has been sent something: an error can no longer be a reply of its own.
    virtual bool begun() const = 0;
    virtual bool done() const = 0;
    virtual bool failed() const = 0;
    /// The response is not for the client, and nothing of it was sent.
    virtual bool withheld() const { return false; }
    /// There is no more time to judge the answer.
    virtual void hurry() = 0;
    virtual unsigned status() const = 0;
    /// How long the engine asks to be left alone.
    virtual std::optional<std::chrono::seconds> retry_after() const = 0;
    /// The engine keeps the connection open for another request. REQUIRES: done().
    virtual bool engine_keeps_alive() const = 0;
    /// The client's connection can be used again. REQUIRES: done() or fail() returned true.
    virtual bool client_keeps_alive() const = 0;

    /// The response breaks off. True: output() has an error event and a proper ending. False: only
    /// closing the connection hard can tell the client. REQUIRES: begun().
    virtual bool fail(const ErrorRow& row, std::string_view message) = 0;
};

}  // namespace drover::gateway
