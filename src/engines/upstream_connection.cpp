#include "engines/upstream_connection.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>

#include "engines/close_at.hpp"
#include "engines/tls_trust.hpp"
#include "platform/clock.hpp"
#include "platform/notifier.hpp"

namespace drover::engines {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using platform::as_result;
using platform::now;
using platform::Task;
using Code = boost::system::error_code;

namespace {

/// Between two attempts while the engine's accept queue is full.
constexpr std::chrono::milliseconds kAcceptQueueRetry{5};

using Address = asio::generic::stream_protocol::endpoint;
using Resolver = asio::ip::basic_resolver<tcp, platform::Executor>;

/// A question to the system's resolver, which cannot be interrupted: it may outlive who asked.
struct Lookup {
    explicit Lookup(platform::Loop& loop) : resolver(loop), answered(loop) {}

    Resolver resolver;
    platform::Notifier answered;
    std::optional<Code> error;
    std::vector<Address> addresses;
};

Task<Code> look_up(platform::Loop& loop,
                   const Endpoint& endpoint,
                   TimePoint deadline,
                   std::vector<Address>& addresses) {
    Code not_literal;
    const asio::ip::address literal = asio::ip::make_address(endpoint.host, not_literal);
    if (!not_literal) {
        addresses.emplace_back(tcp::endpoint(literal, endpoint.port));
        co_return Code();
    }
    const auto lookup = std::make_shared<Lookup>(loop);
    lookup->resolver.async_resolve(
        endpoint.host,
        std::to_string(endpoint.port),
        [lookup](const Code& error, const Resolver::results_type& results) {
            lookup->error = error;
            for (const auto& result : results) {
                lookup->addresses.emplace_back(result.endpoint());
            }
            lookup->answered.notify_all();
        });
    while (!lookup->error.has_value() && now() < deadline) {
        co_await lookup->answered.wait_until(deadline);
    }
    if (!lookup->error.has_value()) {
        co_return asio::error::timed_out;
    }
    addresses = std::move(lookup->addresses);
    co_return *lookup->error;
}

}  // namespace

/// The way to one connection.
class Connecting {
  public:
    Connecting(platform::Loop& loop, const Endpoint& endpoint, TimePoint deadline)
        : loop_(loop),
          endpoint_(endpoint),
          deadline_(deadline),
          connection_(std::make_unique<UpstreamConnection>(loop)) {}

    Task<Result<std::unique_ptr<UpstreamConnection>>> run() {
        std::vector<Address> addresses;
        Code error;
        if (endpoint_.transport == Transport::unix_socket) {
            addresses.emplace_back(
                asio::local::stream_protocol::endpoint(endpoint_.socket.string()));
        } else {
            error = co_await look_up(loop_, endpoint_, deadline_, addresses);
        }
        if (error) {
            co_return failure("its name cannot be resolved: ", error);
        }
        error = co_await reach_one_of(addresses);
        if (error) {
            co_return failure("", error);
        }
        if (endpoint_.transport == Transport::tls) {
            error = co_await shake_hands();
        }
        if (error) {
            co_return failure("TLS: ", error);
        }
        co_return std::move(connection_);
    }

  private:
    StreamSocket& socket() { return connection_->socket_; }

    /// An address that swallows everything leaves time for those behind it.
    Task<Code> reach_one_of(const std::vector<Address>& addresses) {
        Code error = asio::error::host_not_found;
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            const TimePoint begun = now();
            const auto left = static_cast<Duration::rep>(addresses.size() - i);
            const TimePoint deadline =
                begun + std::max<Duration>(deadline_ - begun, Duration()) / left;
            error = co_await reach(addresses[i], deadline);
            if (!error) {
                break;
            }
            connection_->close();
        }
        co_return error;
    }

    Task<Code> reach(const Address& address, TimePoint deadline) {
        for (;;) {
            const CloseAt close_at(loop_, *connection_, deadline);
            auto [error] = co_await socket().async_connect(address, as_result);
            if (!error) {
                // With a full accept queue a UNIX socket's connect() says EAGAIN, which Asio takes
                // for "in progress" and then for success; only a connected socket knows its peer.
                socket().remote_endpoint(error);
            }
            if (!error) {
                socket().non_blocking(true, error);
            }
            if (!error && endpoint_.transport != Transport::unix_socket) {
                socket().set_option(tcp::no_delay(true), error);
            }
            if (error && (close_at.late() || now() >= deadline)) {
                error = asio::error::timed_out;
            }
            if (error != asio::error::not_connected) {
                co_return error;
            }
            connection_->close();
            platform::Timer pause(loop_, kAcceptQueueRetry);
            co_await pause.async_wait(as_result);
        }
    }

    Task<Code> shake_hands() {
        auto& tls = connection_->tls_;
        tls = std::make_unique<ssl::stream<StreamSocket&>>(socket(), endpoint_.trust->context());
        tls->set_verify_callback(ssl::host_name_verification(endpoint_.host));
        SSL_set_tlsext_host_name(tls->native_handle(), endpoint_.host.c_str());
        const CloseAt close_at(loop_, *connection_, deadline_);
        auto [error] = co_await tls->async_handshake(ssl::stream_base::client, as_result);
        if (error && close_at.late()) {
            error = asio::error::timed_out;
        }
        co_return error;
    }

    Error failure(std::string_view step, const Code& error) const {
        if (endpoint_.transport == Transport::unix_socket) {
            return {ErrorCode::engine_failed,
                    "the engine does not accept connections: " + error.message()};
        }
        const std::string where = "there is no connection to " + endpoint_.text() + ": ";
        if (error == asio::error::timed_out) {
            return {ErrorCode::timeout, where + "no answer within the connect time-out"};
        }
        std::string message = where + std::string(step) + error.message();
        if (connection_->tls_ != nullptr) {
            const long verified = SSL_get_verify_result(connection_->tls_->native_handle());
            if (verified != X509_V_OK) {
                message += std::string(": ") + X509_verify_cert_error_string(verified);
            }
        }
        return {ErrorCode::engine_failed, std::move(message)};
    }

    platform::Loop& loop_;
    const Endpoint& endpoint_;
    TimePoint deadline_;
    std::unique_ptr<UpstreamConnection> connection_;
};

Task<Result<std::unique_ptr<UpstreamConnection>>> connect(platform::Loop& loop,
                                                          const Endpoint& endpoint,
                                                          TimePoint deadline) {
    Connecting connecting(loop, endpoint, deadline);
    co_return co_await connecting.run();
}

}  // namespace drover::engines
