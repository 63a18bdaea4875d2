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
///
/// g++ 12 destroys twice what is made within a co_await expression when it is a lambda with
/// captures, or an aggregate, with a destructor: `co_await f([text] {...})`, `co_await f({.text =
/// text})`, by value or by reference. Name it first: `auto work = [text] {...}; co_await
/// f(std::move(work));`. Objects with a constructor, and lambdas that capture only numbers,
/// references or pointers, are safe.
///
/// In a cancelled coroutine every co_await of an operation or of a Task throws, a Task's before its
/// first line; see shield() in task_scope.hpp.
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
