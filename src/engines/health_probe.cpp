#include "engines/health_probe.hpp"

#include <array>
#include <memory>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace drover::engines {

namespace asio = boost::asio;
using platform::as_result;
using platform::Task;

namespace {

/// "HTTP/1.1 200": all of an answer that matters.
constexpr std::size_t kStatusLength = 12;

}  // namespace

Task<bool> is_healthy(platform::Loop& loop,
                      std::filesystem::path socket,
                      std::string path,
                      TimePoint deadline) {
    // Shared: the timer's handler may be queued already when this coroutine ends.
    const auto shared = std::make_shared<platform::UnixSocket>(loop);
    platform::UnixSocket& connection = *shared;
    platform::Timer timer(loop, deadline);
    timer.async_wait([shared](const boost::system::error_code& error) {
        if (!error) {
            boost::system::error_code ignored;
            shared->close(ignored);
        }
    });
    const auto [refused] = co_await connection.async_connect(socket.string(), as_result);
    if (refused) {
        co_return false;
    }
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n";
    const auto [unsent, sent] =
        co_await asio::async_write(connection, asio::buffer(request), as_result);
    if (unsent) {
        co_return false;
    }
    std::array<char, kStatusLength> status{};
    const auto [unread, count] =
        co_await asio::async_read(connection, asio::buffer(status), as_result);
    co_return !unread && std::string_view(status.data(), count).substr(8) == " 200";
}

}  // namespace drover::engines
