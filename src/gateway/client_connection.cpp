#include "gateway/client_connection.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>

#include "base/assert.hpp"

namespace drover::gateway {

namespace asio = boost::asio;
using boost::system::error_code;
using platform::as_result;
using platform::Task;

namespace {

/// Input beyond the request that is served: enough for pipelined small requests. With more than
/// this waiting nothing is read, and that the client left is noticed when writing to it.
constexpr std::size_t kPipelinedMax = 64 * 1024;

}  // namespace

ClientConnection::ClientConnection(platform::TcpSocket socket,
                                   Deadline& deadline,
                                   Duration write_timeout,
                                   std::function<void()> on_leave)
    : socket_(std::move(socket)),
      deadline_(deadline),
      write_timeout_(write_timeout),
      on_leave_(std::move(on_leave)) {
    error_code ignored;  // a socket that broke meanwhile shows at its first use
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
}

Task<bool> ClientConnection::more(std::size_t size_hint) {
    const std::size_t before = input_.data().size();
    if (gone_ || interrupted_) {
        co_return false;
    }
    if (!reading_) {
        start_read(size_hint);
    }
    co_await wake_.wait();
    co_return input_.data().size() > before && !interrupted_;
}

void ClientConnection::watch() {
    if (!reading_ && !gone_ && input_.data().size() < kPipelinedMax) {
        start_read(kReadSize);
    }
}

void ClientConnection::start_read(std::size_t size) {
    const InputBuffer::Room room = input_.prepare(size);
    reading_ = true;
    socket_.async_read_some(
        asio::buffer(room.data, room.size),
        [this](const error_code& error, std::size_t read) { on_read(error, read); });
}

void ClientConnection::on_read(const error_code& error, std::size_t size) {
    reading_ = false;
    input_.commit(size);
    gone_ = gone_ || error;
    if (wake_.waiting()) {
        wake_.notify();
    } else if (gone_) {
        on_leave_();
    } else {
        watch();
    }
}

void ClientConnection::interrupt() {
    interrupted_ = true;
    wake_.notify();
}

bool ClientConnection::send(const std::vector<std::string_view>& pieces) {
    DROVER_ASSERT(unwritten_.empty());
    if (gone_) {
        return true;
    }
    for (const std::string_view piece : pieces) {
        unwritten_.push_back(asio::buffer(piece.data(), piece.size()));
    }
    return write_some();
}

bool ClientConnection::write_some() {
    while (!unwritten_.empty()) {
        error_code error;
        std::size_t written = socket_.write_some(unwritten_, error);
        if (error == asio::error::would_block) {
            return false;
        }
        if (error) {
            gone_ = true;
            unwritten_.clear();
            return true;
        }
        auto piece = unwritten_.begin();
        while (piece != unwritten_.end() && written >= piece->size()) {
            written -= piece->size();
            ++piece;
        }
        if (piece != unwritten_.end()) {
            *piece += written;
        }
        unwritten_.erase(unwritten_.begin(), piece);
    }
    return true;
}

Task<> ClientConnection::flush() {
    while (!write_some()) {
        deadline_.set(Waiting::client_read, write_timeout_);
        const auto [error] = co_await socket_.async_wait(asio::socket_base::wait_write, as_result);
        deadline_.clear();
        if (error || gone_) {
            gone_ = true;
            unwritten_.clear();
        }
    }
}

void ClientConnection::shut_down_sending() {
    error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

void ClientConnection::close(bool hard) {
    gone_ = true;
    unwritten_.clear();
    error_code ignored;
    if (hard) {
        socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    }
    socket_.close(ignored);
}

Task<> ClientConnection::closed() {
    while (reading_) {
        co_await wake_.wait();
    }
}

void ClientConnection::trim() {
    if (!reading_) {
        input_.shrink(kIdleBuffer);
    }
}

}  // namespace drover::gateway
