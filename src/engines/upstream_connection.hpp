// One connection to an engine: a UNIX socket, TCP, or TLS over TCP, behind the operations that a
// request needs. On the loop only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/endpoint.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// A socket whose protocol is chosen when it connects.
using StreamSocket =
    boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, platform::Executor>;

/// Used by one request at a time. Its destructor closes it, which tells the engine to stop
/// generating.
class UpstreamConnection {
  public:
    using Code = boost::system::error_code;

    explicit UpstreamConnection(platform::Loop& loop) : socket_(loop) {}
    UpstreamConnection(const UpstreamConnection&) = delete;
    UpstreamConnection& operator=(const UpstreamConnection&) = delete;

    bool reused = false;  ///< it served a request before: the engine may have closed it meanwhile
    TimePoint idle_since{};  ///< when it was given back

    /// Sends what goes out without waiting. `would_block`: the rest must wait, see
    /// async_write_some(); over TLS that is everything.
    template <typename Buffers>
    std::size_t write_some(const Buffers& buffers, Code& error) {
        if (tls_ != nullptr) {
            error = boost::asio::error::would_block;
            return 0;
        }
        return socket_.write_some(buffers, error);
    }

    /// Waits until something could be sent. Completes with (error, bytes).
    template <typename Buffers, typename Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        const auto start = [this](auto handler, const Buffers& from) {
            if (tls_ != nullptr) {
                tls_->async_write_some(from, std::move(handler));
            } else {
                socket_.async_write_some(from, std::move(handler));
            }
        };
        return boost::asio::async_initiate<Token, void(Code, std::size_t)>(start, token, buffers);
    }

    /// Waits for bytes. Completes with (error, bytes); `eof` when the engine closed its side
    /// properly, which over TLS takes a message.
    template <typename Buffers, typename Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        const auto start = [this](auto handler, const Buffers& into) {
            if (tls_ != nullptr) {
                tls_->async_read_some(into, std::move(handler));
            } else {
                socket_.async_read_some(into, std::move(handler));
            }
        };
        return boost::asio::async_initiate<Token, void(Code, std::size_t)>(start, token, buffers);
    }

    /// Ends it at once; what is under way fails.
    void close() {
        Code ignored;
        socket_.close(ignored);
    }

  private:
    friend class Connecting;

    StreamSocket socket_;
    std::unique_ptr<boost::asio::ssl::stream<StreamSocket&>> tls_;
};

/// A fresh connection. `engine_failed` when there is nobody or its certificate does not convince,
/// `timeout` at the deadline; the messages say where and why. REQUIRES: `endpoint` stays until it
/// returns.
platform::Task<Result<std::unique_ptr<UpstreamConnection>>> connect(platform::Loop& loop,
                                                                    const Endpoint& endpoint,
                                                                    TimePoint deadline);

}  // namespace drover::engines
