// The HTTP server: accepts clients, bounds them, and ends in an orderly way. On the loop only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>

#include "base/result.hpp"
#include "config/config.hpp"
#include "control/fleet.hpp"
#include "gateway/session.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"
#include "platform/task_scope.hpp"

namespace drover::gateway {

struct ServerOptions {
    std::string host = "127.0.0.1";  ///< an address, or a name that this machine resolves
    std::uint16_t port = 11435;      ///< 0: any free one
    config::LimitsConfig limits{};
    std::vector<config::RouteEntry> routes{};
    config::RoutingConfig routing{};
    std::vector<std::string> origins{};  ///< of web pages that may use the server
    bool local_only = false;             ///< no request goes to a remote model
    std::chrono::milliseconds stall_timeout{600'000};
    /// What fits into memory together, as POST /admin/plan asks; called on the loop.
    std::function<platform::Task<Result<boost::json::object>>(boost::json::object)> plan{};
};

/// What `config` says of the server.
ServerOptions server_options(const config::Config& config);

class Server {
  public:
    /// `loop`, `fleet` and `library` outlive the server.
    Server(platform::Loop& loop,
           control::Fleet& fleet,
           store::Library& library,
           ServerOptions options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Listens and accepts from now on. `io_error` says what is in the way and what helps.
    Status start();

    /// Refuses new clients, closes idle ones, lets running requests finish within
    /// `limits.drain_timeout`, ends the rest. The server can be destroyed after it.
    platform::Task<> stop();

    /// Where it listens. REQUIRES: start() succeeded.
    std::uint16_t port() const { return port_; }
    std::size_t connections() const { return sessions_.size(); }

  private:
    using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, platform::Executor>;

    platform::Task<> accept();
    platform::Task<> serve(platform::TcpSocket socket);
    platform::Task<> tick();
    platform::Task<> sessions_end_until(TimePoint deadline);
    Status listen();
    template <typename Call>
    void for_each_session(Call call);

    platform::Loop& loop_;
    ServerOptions options_;
    RouteTable routes_;
    RoutingLog routing_log_;
    RequestCounts counts_;
    BodyRoom bodies_;
    SessionContext context_;
    Acceptor acceptor_;
    platform::Timer ticker_;
    platform::Timer accept_pause_;
    std::unordered_set<Session*> sessions_;
    platform::Notifier session_ended_;
    platform::TaskScope tasks_;
    std::uint16_t port_ = 0;
    bool stopping_ = false;
};

}  // namespace drover::gateway
