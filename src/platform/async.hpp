// The one vocabulary for asynchronous code: coroutines on a single loop, with a concrete executor
// (no type erasure on the hot path). Errors are values: every wait uses `as_result`.
#pragma once

#include <chrono>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace drover::platform {

namespace asio = boost::asio;

/// The loop that owns all mutable state; run by one thread.
using Loop = asio::io_context;
using Executor = Loop::executor_type;

/// A coroutine on the loop.
template <typename T = void>
using Task = asio::awaitable<T, Executor>;

/// Waits for an operation; what it throws, throws.
inline constexpr asio::use_awaitable_t<Executor> use_task{};

/// Waits for an operation and gives its error code as the first element of a tuple.
inline constexpr auto as_result = asio::as_tuple(use_task);

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         Executor>;
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using UnixSocket = asio::basic_stream_socket<asio::local::stream_protocol, Executor>;

}  // namespace drover::platform
