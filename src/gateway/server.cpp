#include "gateway/server.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "gateway/error_reply.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::gateway {

namespace asio = boost::asio;
namespace log = platform::log;
using asio::ip::tcp;
using boost::system::error_code;
using platform::as_result;
using platform::now;
using platform::Task;

namespace {

/// Deadlines are noticed this late at most, or after a quarter of the shortest limit.
constexpr std::chrono::milliseconds kTickMax{200};
constexpr std::chrono::milliseconds kTickMin{5};

/// After accept() failed, usually because there are no file descriptors left.
constexpr std::chrono::milliseconds kAcceptPause{100};

/// A client whose request did not end in time gets so long to take the error.
constexpr std::chrono::milliseconds kFarewell{500};

std::chrono::milliseconds tick_of(const ServerOptions& options) {
    const config::LimitsConfig& limits = options.limits;
    const auto shortest = std::min({limits.header_timeout,
                                    limits.body_timeout,
                                    limits.write_timeout,
                                    limits.idle_timeout,
                                    options.stall_timeout});
    return std::clamp(shortest / 4, kTickMin, kTickMax);
}

Error cannot_listen(const ServerOptions& options, const error_code& error) {
    std::string message = "cannot listen on " + options.host + ":" + std::to_string(options.port) +
                          ": " + error.message();
    if (error == asio::error::address_in_use) {
        message += "; another program (or another Drover) uses this port: stop it, or set `listen`";
    }
    return Error{ErrorCode::io_error, std::move(message)};
}

}  // namespace

ServerOptions server_options(const config::Config& config) {
    return {.host = config.listen_host,
            .port = config.listen_port,
            .limits = config.limits,
            .routes = config.routes,
            .routing = config.routing,
            .origins = config.origins,
            .local_only = config.local_only,
            .stall_timeout = config.engine.stall_timeout};
}

Server::Server(platform::Loop& loop,
               control::Fleet& fleet,
               store::Library& library,
               ServerOptions options)
    : loop_(loop),
      options_(std::move(options)),
      routes_(options_.routes),
      routing_log_(options_.routing),
      bodies_(options_.limits.bodies),
      context_{.fleet = fleet,
               .routes = routes_,
               .routing_log = routing_log_,
               .counts = counts_,
               .bodies = bodies_,
               .limits = options_.limits,
               .stall_timeout = options_.stall_timeout,
               .plan = options_.plan,
               .library = library,
               .loopback_only = true,
               .origins = options_.origins,
               .local_only = options_.local_only},
      acceptor_(loop),
      ticker_(loop),
      accept_pause_(loop),
      session_ended_(loop),
      tasks_(loop) {}

Server::~Server() = default;

Status Server::start() {
    DROVER_TRY(routes_.open());
    DROVER_TRY(routing_log_.open());
    for (const std::string& problem : routes_.missing_targets(context_.fleet)) {
        log::warn("route.target_missing", {{"problem", problem}});
    }
    DROVER_TRY(listen());
    tasks_.spawn("gateway.accept", [this] { return accept(); });
    tasks_.spawn("gateway.tick", [this] { return tick(); });
    return {};
}

Status Server::listen() {
    error_code error;
    asio::ip::address address = asio::ip::make_address(options_.host, error);
    if (error) {
        tcp::resolver resolver(loop_);  // blocks; only at start-up, and nothing is served yet
        const auto found = resolver.resolve(options_.host, "", error);
        if (error || found.empty()) {
            return cannot_listen(options_, error);
        }
        address = found.begin()->endpoint().address();
    }
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
        acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error && address.is_v6()) {
        acceptor_.set_option(asio::ip::v6_only(!address.is_unspecified()), error);
    }
    if (!error) {
        acceptor_.bind(endpoint, error);
    }
    if (!error) {
        acceptor_.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
        return cannot_listen(options_, error);
    }
    context_.loopback_only = address.is_loopback();
    port_ = acceptor_.local_endpoint(error).port();
    return {};
}

Task<> Server::accept() {
    while (!stopping_) {
        auto [error, socket] = co_await acceptor_.async_accept(as_result);
        if (stopping_) {
            break;
        }
        if (error) {
            log::warn("gateway.accept_failed", {{"error", error.message()}});
            accept_pause_.expires_after(kAcceptPause);
            co_await accept_pause_.async_wait(as_result);
            continue;
        }
        if (sessions_.size() >= options_.limits.connections) {
            static const std::string kFull = [] {
                const ErrorRow& row = error_row(Refusal::too_many_connections);
                const std::string body =
                    error_body(Dialect::openai,
                               row,
                               "too many connections; limits.connections raises the limit");
                return "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                       "Retry-After: 1\r\nConnection: close\r\nContent-Length: " +
                       std::to_string(body.size()) + "\r\n\r\n" + body;
            }();
            socket.write_some(asio::buffer(kFull), error);
            continue;
        }
        tasks_.spawn("gateway.session", [this, client = std::move(socket)]() mutable {
            return serve(std::move(client));
        });
    }
}

Task<> Server::serve(platform::TcpSocket socket) {
    Session session(context_, std::move(socket));
    sessions_.insert(&session);
    if (stopping_) {
        session.drain();
    }
    co_await session.run();
    sessions_.erase(&session);
    session_ended_.notify_all();
}

Task<> Server::tick() {
    const std::chrono::milliseconds interval = tick_of(options_);
    for (;;) {
        ticker_.expires_after(interval);
        const auto [error] = co_await ticker_.async_wait(as_result);
        if (error) {
            co_return;
        }
        for_each_session([time = now()](Session& session) { session.tick(time); });
    }
}

template <typename Call>
void Server::for_each_session(Call call) {
    // A call may end a session, and others with it.
    const std::vector<Session*> sessions(sessions_.begin(), sessions_.end());
    for (Session* session : sessions) {
        if (sessions_.contains(session)) {
            call(*session);
        }
    }
}

Task<> Server::sessions_end_until(TimePoint deadline) {
    while (!sessions_.empty() && now() < deadline) {
        co_await session_ended_.wait_until(deadline);
    }
}

Task<> Server::stop() {
    co_await platform::shield();
    stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    accept_pause_.cancel();
    for_each_session([](Session& session) { session.drain(); });
    const TimePoint deadline = now() + options_.limits.drain_timeout;
    co_await sessions_end_until(deadline);
    for_each_session([](Session& session) { session.dismiss(); });
    co_await sessions_end_until(now() + kFarewell);
    for_each_session([](Session& session) { session.abort(); });
    while (!sessions_.empty()) {
        co_await session_ended_.wait();
    }
    // Not only the ticker's wait: when its end is on the way already, the next one must not begin.
    tasks_.cancel();
    co_await tasks_.join();
}

}  // namespace drover::gateway
