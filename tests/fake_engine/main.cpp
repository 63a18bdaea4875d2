// A stand-in for llama-server: the same command line and API, canned answers, quick enough to
// measure what is in front of it, and misbehaving on command. See README.md.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "behaviour.hpp"
#include "server.hpp"

namespace drover::fake {

namespace {

constexpr int kUsageStatus = 2;

volatile int stop_asked = 0;

/// Who is to sleep at SIGUSR1.
Server* sleeper = nullptr;

struct Options {
    std::string host = "127.0.0.1";
    int port = 8080;
    ModelInfo model;
    Behaviour behaviour;
};

[[noreturn]] void die(const std::string& message, int status) {
    std::fprintf(stderr, "fake_engine: %s\n", message.c_str());
    std::exit(status);
}

void say(const std::string& line) {
    std::fprintf(stderr, "%s\n", line.c_str());
}

int number(std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void apply_or_die(Behaviour& behaviour, std::string_view directives) {
    if (const auto unknown = apply(behaviour, directives)) {
        die("unknown directive " + *unknown, kUsageStatus);
    }
}

/// Reads the flags of llama-server and of `vllm serve MODEL`; those that do not matter here are
/// ignored, with their values.
Options read_options(const std::vector<std::string_view>& arguments) {
    Options options;
    std::string_view flag_directives;
    if (const char* key = std::getenv("VLLM_API_KEY"); key != nullptr) {
        options.model.key = key;
    }
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
        const std::string_view flag = arguments[i];
        const std::string value(arguments[i + 1]);
        if (flag == "--host" || flag == "--uds") {
            options.host = value;
        } else if (flag == "serve") {
            options.model.path = value;
        } else if (flag == "--served-model-name") {
            options.model.alias = value;
            options.model.served.push_back(value);
        } else if (flag == "--tool-call-parser") {
            options.model.vllm_tools = true;
        } else if (flag == "--api-key") {
            options.model.key = value;
        } else if (flag == "--port") {
            options.port = number(value);
        } else if (flag == "--model" || flag == "-m") {
            options.model.path = value;
        } else if (flag == "--alias" || flag == "-a") {
            options.model.alias = value;
        } else if (flag == "--parallel" || flag == "-np") {
            options.model.parallel = number(value);
        } else if (flag == "--slot-save-path") {
            options.model.slot_path = value;
        } else if (flag == "--ctx-size" || flag == "-c") {
            options.model.context = number(value);
        } else if (flag == "--fake") {
            flag_directives = arguments[i + 1];
        }
    }
    const char* development = std::getenv("VLLM_SERVER_DEV_MODE");
    options.model.vllm_sleep =
        development != nullptr && std::string_view(development) == "1" &&
        std::find(arguments.begin(), arguments.end(), "--enable-sleep-mode") != arguments.end();
    apply_or_die(options.behaviour, directives_of_model(options.model.path));
    if (const char* environment = std::getenv("FAKE_ENGINE"); environment != nullptr) {
        apply_or_die(options.behaviour, environment);
    }
    apply_or_die(options.behaviour, flag_directives);
    return options;
}

int listen_unix(const std::string& path, int backlog) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        die("socket path too long: " + path, 1);
    }
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, backlog) != 0) {
        die("cannot listen on " + path + ": " + std::strerror(errno), 1);
    }
    return fd;
}

int listen_tcp(const std::string& host, int port, int backlog) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, backlog) != 0) {
        die("cannot listen on " + host + ": " + std::strerror(errno), 1);
    }
    socklen_t length = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    say("fake_engine: port " + std::to_string(ntohs(address.sin_port)));
    return fd;
}

/// A child without which this process ends, as vLLM does without its engine core.
void start_worker() {
    ::signal(SIGCHLD, [](int) {
        constexpr std::string_view kWords = "EngineDeadError: the engine core is gone\n";
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kWords.data(), kWords.size());
        ::_exit(1);
    });
    if (::fork() != 0) {
        return;
    }
    ::signal(SIGCHLD, SIG_DFL);
    while (true) {
        ::pause();
    }
}

/// Returns when the child is what it is to be: an engine that is stopped at once would take it
/// along.
void start_grandchild(bool own_session) {
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) {
        std::abort();
    }
    if (::fork() != 0) {
        ::close(ready[1]);
        char none = 0;
        while (::read(ready[0], &none, 1) < 0 && errno == EINTR) {
        }
        ::close(ready[0]);
        return;
    }
    ::signal(SIGTERM, SIG_IGN);
    if (own_session) {
        ::setsid();
    }
    ::close(ready[0]);
    ::close(ready[1]);
    while (true) {
        ::pause();
    }
}

void print_binary() {
    std::string text;
    for (int i = 0; i < 4096; ++i) {
        text += static_cast<char>(i * 7);
    }
    text += '\n';
    text += std::string(1024UL * 1024, 'x') + '\n';
    std::fwrite(text.data(), 1, text.size(), stderr);
}

/// A child that writes as fast as it is read, so that this process can go on serving.
void start_flood() {
    if (::fork() != 0) {
        return;
    }
    const std::string piece(64UL * 1024, 'f');
    while (::write(STDERR_FILENO, piece.data(), piece.size()) > 0) {
    }
    ::_exit(0);
}

void set_signals(const Behaviour& behaviour) {
    // No core files from the crashes asked for.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGPIPE, SIG_IGN);
    if (behaviour.ignore_term) {
        ::signal(SIGTERM, SIG_IGN);
        ::signal(SIGINT, SIG_IGN);
        return;
    }
    struct sigaction action {};
    action.sa_handler = [](int) {
        stop_asked = 1;
    };
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGINT, &action, nullptr);
}

void wait_ms(int duration) {
    if (duration > 0) {
        ::poll(nullptr, 0, duration);
    }
}

void end_at_start(const Behaviour& behaviour) {
    if (!behaviour.message.empty()) {
        say(behaviour.message);
    }
    if (behaviour.raise_signal.has_value()) {
        ::signal(*behaviour.raise_signal, SIG_DFL);
        ::raise(*behaviour.raise_signal);
    }
    if (behaviour.exit_status.has_value()) {
        std::exit(*behaviour.exit_status);
    }
}

int serve(const Options& options) {
    const Behaviour& behaviour = options.behaviour;
    set_signals(behaviour);
    say("srv    load_model: loading model '" + options.model.path + "'");
    if (behaviour.binary) {
        print_binary();
    }
    if (behaviour.flood) {
        start_flood();
    }
    if (behaviour.worker) {
        start_worker();
    }
    if (behaviour.grandchild || behaviour.grandchild_session) {
        start_grandchild(behaviour.grandchild_session);
    }
    wait_ms(behaviour.listen_ms);
    const bool is_socket = options.host.size() > 5 && options.host.ends_with(".sock");
    const int listener = is_socket ? listen_unix(options.host, behaviour.backlog)
                                   : listen_tcp(options.host, options.port, behaviour.backlog);
    Server server(listener, options.model, behaviour);
    sleeper = &server;
    ::signal(SIGUSR1, [](int) { sleeper->fall_asleep(); });
    const auto never = Clock::time_point::max();
    const bool hangs = behaviour.load_hang || behaviour.load_silent;
    server.run_until(hangs ? never : Clock::now() + std::chrono::milliseconds(behaviour.load_ms),
                     &stop_asked);
    if (stop_asked == 0) {
        end_at_start(behaviour);
        server.set_ready();
        say("srv  llama_server: model loaded");
        server.run_until(never, &stop_asked);
    }
    wait_ms(behaviour.term_ms);
    say("srv    operator(): cleaning up before exit...");
    return 0;
}

}  // namespace

}  // namespace drover::fake

int main(int argc, char** argv) {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    if (std::find(arguments.begin(), arguments.end(), "--version") != arguments.end()) {
        std::puts("version: 0.5.0 (fake)");
        return 0;
    }
    if (std::find(arguments.begin(), arguments.end(), "--list-devices") != arguments.end()) {
        const char* gpus = std::getenv("FAKE_GPUS");
        std::puts("Available devices:");
        for (int gpu = 0; gpu < drover::fake::number(gpus != nullptr ? gpus : "0"); ++gpu) {
            std::printf("  CUDA%d: Fake (24576 MiB, 24000 MiB free)\n", gpu);
        }
        return 0;
    }
    return drover::fake::serve(drover::fake::read_options(arguments));
}
