#include "server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace drover::fake {

namespace {

/// A stream is made in pieces of this size, as fast as the client reads.
constexpr std::size_t kPieceMax = 64UL * 1024;
constexpr std::size_t kHugeHeader = 128UL * 1024;
constexpr std::string_view kJson = "application/json; charset=utf-8";
constexpr int kExitStatus = 3;

constexpr std::string_view kGarbage("\x16\x03\x01\x02\0\xff\xfenot http\r\n\r\n\x80\x81", 22);

[[noreturn]] void die_by(int signal) {
    // A sanitizer would turn the signal into an exit.
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    std::abort();
}

[[noreturn]] void fall_silent() {
    ::signal(SIGTERM, SIG_DFL);
    while (true) {
        ::pause();
    }
}

std::string failure_of(const Behaviour& behaviour) {
    return behaviour.too_long ? error_body(behaviour.status,
                                           "the request exceeds the available context size",
                                           "exceed_context_size_error")
                              : error_body(behaviour.status, "fake failure", "server_error");
}

}  // namespace

Server::Server(int listener, ModelInfo model, Behaviour behaviour)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      listener_(listener),
      key_(model.key),
      served_(model.served),
      vllm_tools_(model.vllm_tools),
      vllm_{.mode = model.vllm_sleep},
      answers_(std::move(model)),
      behaviour_(std::move(behaviour)) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
}

Server::~Server() {
    for (const auto& [fd, connection] : connections_) {
        ::close(fd);
    }
    ::close(epoll_);
}

void Server::run_until(Clock::time_point deadline, const volatile int* stop) {
    std::array<epoll_event, 256> events{};
    while (*stop == 0 && Clock::now() < deadline) {
        sleep_if_asked();
        Clock::time_point next = deadline;
        if (!timers_.empty()) {
            next = std::min(next, timers_.begin()->first);
        }
        if (behaviour_.keepalive_idle_ms > 0) {
            next = std::min(next, Clock::now() + std::chrono::milliseconds(10));
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            std::min<Clock::duration>(next - Clock::now(), std::chrono::hours(1)));
        const int count = ::epoll_wait(epoll_,
                                       events.data(),
                                       static_cast<int>(events.size()),
                                       static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            if (event.data.ptr == nullptr) {
                accept_all();
                continue;
            }
            Connection& connection = *static_cast<Connection*>(event.data.ptr);
            if (connection.fd >= 0 && (event.events & EPOLLOUT) != 0U && flush(connection) &&
                advance(connection)) {
                serve_buffered(connection);
            }
            if (connection.fd >= 0 && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0U) {
                on_readable(connection);
            }
        }
        run_timers();
        close_idle();
        closed_.clear();
    }
}

void Server::accept_all() {
    while (true) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        ++stats_.accepted;
        auto connection = std::make_unique<Connection>(fd);
        connection->idle_since = Clock::now();
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = connection.get();
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
        connections_[fd] = std::move(connection);
    }
}

void Server::on_readable(Connection& connection) {
    std::array<char, 64UL * 1024>
        buffer;  // NOLINT: not initialised, it is filled for every request
    const ssize_t count = ::read(connection.fd, buffer.data(), buffer.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        close(connection);
        return;
    }
    connection.in.append(buffer.data(), static_cast<std::size_t>(count));
    serve_buffered(connection);
}

void Server::serve_buffered(Connection& connection) {
    if (behaviour_.load_silent && !ready_) {
        return;
    }
    while (true) {
        const bool was_pending = connection.pending != nullptr;
        const bool served = serve_until_pending(connection);
        if (behaviour_.keepalive_idle_ms > 0) {
            connection.idle_since = Clock::now();
        }
        if (!flush(connection) || !advance(connection) || (!served && !was_pending)) {
            return;
        }
    }
}

/// Serves the requests in the buffer up to one whose answer is not finished at once; true when
/// there was one.
bool Server::serve_until_pending(Connection& connection) {
    std::size_t used = 0;
    while (!connection.pending && !connection.close_when_sent && used < connection.in.size()) {
        Request request;
        const ParseResult result =
            parse_request(std::string_view(connection.in).substr(used), request);
        if (result.state == ParseState::bad) {
            connection.close_when_sent = true;
            answer(connection, 400, error_body(400, "not HTTP", "invalid_request_error"));
            break;
        }
        if (result.state == ParseState::incomplete) {
            if (result.send_continue && !std::exchange(connection.continued, true)) {
                connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
            }
            break;
        }
        connection.continued = false;
        ++connection.served;
        const int max = behaviour_.keepalive_max;
        connection.close_when_sent = !request.keep_alive || (max > 0 && connection.served >= max);
        serve(connection, request);
        used += result.length;
    }
    connection.in.erase(0, used);
    return used > 0;
}

void Server::serve(Connection& connection, const Request& request) {
    if (request.path == "/health" || request.path.substr(0, 6) == "/fake/") {
        serve_special(connection, request);
        return;
    }
    ++stats_.requests;
    if (refuse(connection, request)) {
        return;
    }
    if (!ready_) {
        answer(connection, 503, error_body(503, "Loading model", "unavailable_error"));
        return;
    }
    if (asleep_ && request.path != "/props" && request.path != "/metrics") {
        wake();
    }
    if (serve_as_vllm(connection, request)) {
        return;
    }
    remember(request);
    const Behaviour* behaviour = &behaviour_;
    Behaviour own;
    const std::string_view in_body = json_field(request.body, "\"fake\"");
    if (!request.fake.empty() || !in_body.empty()) {
        own = behaviour_;
        behaviour = &own;
        for (const std::string_view directives : {request.fake, in_body}) {
            if (const auto unknown = apply(own, directives)) {
                answer(connection,
                       400,
                       error_body(400, "unknown directive " + *unknown, "invalid_request_error"));
                return;
            }
        }
    }
    if (request.query.find("action=save") != std::string_view::npos) {
        own = *behaviour;
        own.think_ms = own.save_ms;
        if (own.save_crash) {
            std::raise(SIGSEGV);
        }
        behaviour = &own;
    }
    if (behaviour->grow_mib > 0) {
        grow(behaviour->grow_mib);
    }
    const bool chat = request.path == "/v1/chat/completions" || request.path == "/chat/completions";
    const bool completion = request.path == "/v1/completions" || request.path == "/completion" ||
                            request.path == "/completions" || request.path == "/infill";
    if (!chat && !completion) {
        begin(connection, *behaviour, {}, answer_to(request, *behaviour));
        return;
    }
    const GenerationRequest wanted = read_generation(
        chat ? Kind::chat : Kind::completion, request.body, *behaviour, !served_.empty());
    if (wanted.contradicts && served_.empty()) {
        answer(connection,
               400,
               error_body(
                   400, "logprobs is not supported with tools + stream", "invalid_request_error"));
        return;
    }
    begin(connection, *behaviour, wanted, std::nullopt);
}

void Server::remember(const Request& request) {
    if (behaviour_.remember) {
        last_request_ = R"({"path":)" + json_string(request.path) + R"(,"body":)" +
                        std::string(request.body) + "}";
    }
}

void Server::serve_special(Connection& connection, const Request& request) {
    if (request.path == "/fake/stats") {
        answer(connection, 200, stats());
        return;
    }
    if (request.path == "/fake/last") {
        answer(connection, 200, last_request_);
        return;
    }
    ++stats_.health;
    if (behaviour_.health_garbage) {
        connection.out += kGarbage;
        connection.close_when_sent = true;
        return;
    }
    if (ready_ && Clock::now() >= vllm_.busy_until) {
        answer(connection, 200, R"({"status":"ok"})");
    } else {
        answer(connection, 503, error_body(503, "Loading model", "unavailable_error"));
    }
}

std::string Server::answer_to(const Request& request, const Behaviour& behaviour) {
    const std::string_view path = request.path;
    if (path == "/v1/embeddings" || path == "/embeddings") {
        return answers_.embeddings(request.body, behaviour);
    }
    if (path == "/v1/rerank" || path == "/rerank" || path == "/reranking") {
        return answers_.rerank(request.body);
    }
    if (path == "/v1/score" || path == "/score") {
        return answers_.score(request.body);
    }
    if (path == "/v1/models" || path == "/models") {
        return answers_.models();
    }
    if (path == "/props") {
        return answers_.props(asleep_);
    }
    if (path == "/tokenize") {
        return answers_.tokenize(json_field(request.body, "\"content\""));
    }
    if (path == "/metrics") {
        return llama_cpp_metrics(behaviour) + vllm_metrics(behaviour);
    }
    if (path == "/apply-template") {
        return R"({"prompt":"a fake prompt"})";
    }
    if (path == "/slots") {
        return answers_.slots(behaviour);
    }
    if (path.substr(0, 7) == "/slots/") {
        return answers_.slot_action(path, request.query, request.body, behaviour);
    }
    return R"({"fake":true,"method":)" + json_string(request.method) + R"(,"path":)" +
           json_string(path) + R"(,"body":)" + json_string(request.body) + "}";
}

void Server::begin(Connection& connection,
                   const Behaviour& behaviour,
                   const GenerationRequest& request,
                   std::optional<std::string> whole) {
    const bool plain = behaviour.fault == Fault::none && behaviour.status == 200 &&
                       behaviour.think_ms == 0 && behaviour.slow_ms == 0 && !behaviour.endless;
    if (plain && !request.stream) {
        // The hot path: nothing to wait for, nothing to remember.
        stats_.active_max = std::max(stats_.active_max, stats_.active + 1);
        ++stats_.completed;
        if (whole.has_value()) {
            append_head(connection.out, 200, kJson, whole->size());
            connection.out += *whole;
        } else {
            answers_.append_generation(connection.out, request, behaviour);
        }
        return;
    }
    stats_.active_max = std::max(stats_.active_max, ++stats_.active);
    connection.pending = std::make_unique<Pending>(
        Pending{.behaviour = behaviour, .request = request, .whole = std::move(whole)});
    Pending& pending = *connection.pending;
    int delay = behaviour.think_ms;
    if (!request.stream) {
        if (!pending.whole.has_value()) {
            pending.whole = answers_.generation(request, behaviour);
            delay += behaviour.slow_ms * request.tokens;
        }
        if (behaviour.status != 200) {
            pending.whole = failure_of(behaviour);
        } else if (behaviour.endless) {
            pending.waiting = true;  // for ever
            return;
        }
    }
    if (delay > 0) {
        schedule(connection, delay);
    }
}

/// Goes on with the unfinished answer, if there is one. True when nothing is left of it to do or to
/// send and the connection is open.
bool Server::advance(Connection& connection) {
    if (!connection.pending) {
        return true;
    }
    if (connection.pending->waiting) {
        return false;
    }
    const Pending& pending = *connection.pending;
    const Fault fault = pending.behaviour.fault;
    bool finished = false;
    if (fault == Fault::hang || fault == Fault::freeze || fault == Fault::garbage ||
        fault == Fault::cut_head) {
        finished = fail(connection);
    } else if (pending.request.stream && pending.behaviour.status == 200) {
        finished = advance_stream(connection);
    } else {
        finished = advance_whole(connection);
    }
    if (connection.fd < 0 || !flush(connection)) {
        return false;  // over, or it goes on when the client has read
    }
    if (!finished && !connection.pending->waiting) {
        watch_writing(connection, true);  // the next piece comes in the next round
    }
    return finished;
}

bool Server::advance_whole(Connection& connection) {
    Pending& pending = *connection.pending;
    const int status = pending.behaviour.status;
    if (!pending.whole.has_value() || status != 200) {
        pending.whole = failure_of(pending.behaviour);
    }
    std::string text;
    if (pending.behaviour.fault == Fault::huge_header) {
        text = "HTTP/1.1 200 OK\r\nX-Huge: " + std::string(kHugeHeader, 'h') +
               "\r\nContent-Length: " + std::to_string(pending.whole->size()) + "\r\n\r\n";
    } else {
        append_head(text, status, kJson, pending.whole->size());
    }
    const std::size_t head = text.size();
    text += *pending.whole;
    if (pending.behaviour.fault != Fault::none && pending.behaviour.fault != Fault::huge_header) {
        connection.out += text.substr(0, head + pending.whole->size() / 2);
        return fail(connection);
    }
    connection.out += text;
    finish(connection);
    return true;
}

bool Server::advance_stream(Connection& connection) {
    Pending& pending = *connection.pending;
    const Behaviour& behaviour = pending.behaviour;
    if (!pending.begun) {
        pending.begun = true;
        if (behaviour.fault == Fault::huge_header) {
            connection.out += "HTTP/1.1 200 OK\r\nX-Huge: " + std::string(kHugeHeader, 'h') +
                              "\r\nTransfer-Encoding: chunked\r\n\r\n";
        } else {
            append_stream_head(connection.out);
        }
        answers_.append_first(connection.out, pending.request.kind);
    }
    const int fault_at = behaviour.after >= 0 ? behaviour.after : pending.request.tokens / 2;
    while (behaviour.endless || pending.sent < pending.request.tokens) {
        if (behaviour.fault != Fault::none && behaviour.fault != Fault::huge_header &&
            pending.sent == fault_at) {
            return fail(connection);
        }
        if (connection.out.size() - connection.out_at > kPieceMax) {
            return false;
        }
        answers_.append_token(connection.out, pending.request, pending.sent, behaviour);
        ++pending.sent;
        ++stats_.tokens;
        if (behaviour.slow_ms > 0 && (behaviour.endless || pending.sent < pending.request.tokens)) {
            schedule(connection, behaviour.slow_ms);
            return false;
        }
    }
    answers_.append_last(connection.out, pending.request);
    finish(connection);
    return true;
}

bool Server::fail(Connection& connection) {
    ++stats_.failed;
    switch (connection.pending->behaviour.fault) {
        case Fault::crash:
            flush(connection);
            die_by(SIGSEGV);
        case Fault::exit:
            flush(connection);
            ::_exit(kExitStatus);
        case Fault::freeze:
            fall_silent();
        case Fault::hang:
            connection.pending->waiting = true;  // for ever
            return false;
        case Fault::garbage:
            connection.out += kGarbage;
            break;
        case Fault::cut_head:
            connection.out += "HTTP/1.1 200 OK\r\nContent-Le";
            break;
        case Fault::bad_chunk:
            connection.out += "zz\r\nnot a chunk\r\n";
            break;
        case Fault::cut:
        case Fault::none:
        case Fault::huge_header:
            break;
    }
    connection.close_when_sent = true;
    connection.pending.reset();
    --stats_.active;
    return true;
}

void Server::finish(Connection& connection) {
    connection.pending.reset();
    --stats_.active;
    ++stats_.completed;
}

void Server::answer(Connection& connection, int status, std::string_view body) {
    append_head(connection.out, status, kJson, body.size());
    connection.out += body;
}

/// Writes what can be written. True when everything is out and the connection still open.
bool Server::flush(Connection& connection) {
    while (connection.out_at < connection.out.size()) {
        const ssize_t count = ::send(connection.fd,
                                     connection.out.data() + connection.out_at,
                                     connection.out.size() - connection.out_at,
                                     MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) {
            watch_writing(connection, true);
            return false;
        }
        if (count < 0) {
            close(connection);
            return false;
        }
        connection.out_at += static_cast<std::size_t>(count);
    }
    connection.out.clear();
    connection.out_at = 0;
    if (connection.close_when_sent && !connection.pending) {
        close(connection);
        return false;
    }
    watch_writing(connection, false);
    return true;
}

void Server::watch_writing(Connection& connection, bool on) {
    if (connection.wants_write == on) {
        return;
    }
    connection.wants_write = on;
    epoll_event event{};
    event.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &connection;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Server::schedule(Connection& connection, int delay_ms) {
    connection.pending->waiting = true;
    timers_.emplace(Clock::now() + std::chrono::milliseconds(delay_ms), &connection);
}

void Server::run_timers() {
    while (!timers_.empty() && timers_.begin()->first <= Clock::now()) {
        Connection* connection = timers_.begin()->second;
        timers_.erase(timers_.begin());
        connection->pending->waiting = false;
        if (advance(*connection)) {
            serve_buffered(*connection);
        }
    }
}

void Server::close_idle() {
    if (behaviour_.keepalive_idle_ms <= 0) {
        return;
    }
    const auto limit = Clock::now() - std::chrono::milliseconds(behaviour_.keepalive_idle_ms);
    std::vector<Connection*> idle;
    for (const auto& [fd, connection] : connections_) {
        if (!connection->pending && connection->out.empty() && connection->idle_since < limit) {
            idle.push_back(connection.get());
        }
    }
    for (Connection* connection : idle) {
        close(*connection);
    }
}

void Server::close(Connection& connection) {
    if (connection.pending || connection.out_at < connection.out.size()) {
        ++stats_.aborted;
    }
    if (connection.pending) {
        --stats_.active;
        connection.pending.reset();
    }
    for (auto timer = timers_.begin(); timer != timers_.end();) {
        timer = timer->second == &connection ? timers_.erase(timer) : std::next(timer);
    }
    const auto found = connections_.find(connection.fd);
    ::close(std::exchange(connection.fd, -1));
    closed_.push_back(std::move(found->second));
    connections_.erase(found);
}

std::string Server::stats() const {
    const auto field = [](const char* name, auto value) {
        return std::string("\"") + name + "\":" + std::to_string(value);
    };
    return "{" + field("requests", stats_.requests) + "," + field("completed", stats_.completed) +
           "," + field("aborted", stats_.aborted) + "," + field("failed", stats_.failed) + "," +
           field("tokens", stats_.tokens) + "," + field("accepted", stats_.accepted) + "," +
           field("health", stats_.health) + "," + field("active", stats_.active) + "," +
           field("active_max", stats_.active_max) + "," +
           field("connections", connections_.size()) + "," + field("pid", ::getpid()) + "}";
}

void Server::grow(std::size_t mib) {
    grown_.emplace_back(mib * 1024 * 1024, 'x');
}

}  // namespace drover::fake
