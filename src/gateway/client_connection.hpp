// One client's socket: one read always outstanding, writes that suspend only when the client is
// slow. On the loop only.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "gateway/deadline.hpp"
#include "gateway/input_buffer.hpp"
#include "gateway/wake.hpp"
#include "platform/async.hpp"

namespace drover::gateway {

/// Room that a read of a request gets.
inline constexpr std::size_t kReadSize = 4096;

/// Exactly one read is outstanding while the session waits for anything: between requests it brings
/// the next one, while a request is served it notices that the client has left. A client that
/// closes its sending side counts as gone, as it does for nginx.
class ClientConnection {
  public:
    /// `on_leave` is called when the client leaves while nobody waits in more().
    ClientConnection(platform::TcpSocket socket,
                     Deadline& deadline,
                     Duration write_timeout,
                     std::function<void()> on_leave);
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    /// Received and not consumed.
    std::string_view input() const { return input_.data(); }
    void consume(std::size_t size) { input_.consume(size); }

    /// Waits for more input, at most `size_hint` bytes at a time. False: the client has left, or
    /// interrupt() was called.
    platform::Task<bool> more(std::size_t size_hint);

    /// Makes sure that a read is outstanding. To be called before a request is served.
    void watch();

    /// Ends the wait in more(), for a deadline.
    void interrupt();

    /// Starts to write all of `pieces`, which must stay in place until it is done. True: it is
    /// done, or the client is gone. False: flush() must follow.
    bool send(const std::vector<std::string_view>& pieces);

    /// Waits until what send() left over is written, or the client is gone.
    platform::Task<> flush();

    /// The connection is of no use any more.
    bool gone() const { return gone_; }

    /// Says that nothing more will be written.
    void shut_down_sending();

    /// Closes the socket; whoever waits is woken. `hard`: the client sees a reset, so that it
    /// cannot take what it has for the whole.
    void close(bool hard = false);

    /// Returns when no operation is under way any more. REQUIRES: close() was called.
    platform::Task<> closed();

    /// Gives back memory that only a large request needed.
    void trim();

  private:
    void start_read(std::size_t size);
    void on_read(const boost::system::error_code& error, std::size_t size);
    bool write_some();

    platform::TcpSocket socket_;
    Deadline& deadline_;
    Duration write_timeout_;
    std::function<void()> on_leave_;
    InputBuffer input_;
    Wake wake_;
    bool reading_ = false;
    bool gone_ = false;
    bool interrupted_ = false;
    std::vector<platform::asio::const_buffer> unwritten_;
};

}  // namespace drover::gateway
