// The fake engine's event loop: epoll, one thread, HTTP/1.1 with keep-alive and pipelining.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "answers.hpp"
#include "behaviour.hpp"
#include "http.hpp"

namespace drover::fake {

using Clock = std::chrono::steady_clock;

/// Counted since the start; GET /fake/stats.
struct Stats {
    std::uint64_t requests = 0;   ///< without /health and /fake
    std::uint64_t completed = 0;  ///< answered to the end
    std::uint64_t aborted = 0;    ///< the client left before the end of its answer
    std::uint64_t failed = 0;     ///< spoiled by a fault
    std::uint64_t tokens = 0;     ///< streamed
    std::uint64_t accepted = 0;   ///< connections
    std::uint64_t health = 0;
    int active = 0;  ///< answers begun and not ended
    int active_max = 0;
};

/// What vLLM's sleep mode does to it.
struct VllmSleep {
    bool mode = false;    ///< it was started with it
    bool weights = true;  ///< they have memory
    bool cache = true;    ///< it has memory
    bool right = true;    ///< the weights are those of the model
    Clock::time_point busy_until{};

    bool awake() const { return weights && cache; }
};

class Server {
  public:
    Server(int listener, ModelInfo model, Behaviour behaviour);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// From now on answers are not 503.
    void set_ready() {
        weights_.assign(behaviour_.alloc_mib << 20, 'w');
        ready_ = true;
    }

    /// Like llama-server with scripts/engine/sleep.cpp: it gives its memory back, and the next
    /// request that needs the model wakes it. Called by a signal handler.
    void fall_asleep() { sleep_asked_ = 1; }

    /// Serves until `deadline` or until `*stop` is set, which a signal handler may do.
    void run_until(Clock::time_point deadline, const volatile int* stop);

  private:
    /// An answer that is not finished.
    struct Pending {
        Behaviour behaviour;
        GenerationRequest request;
        std::optional<std::string> whole;  ///< unless it is streamed
        bool begun = false;                ///< the head is out
        int sent = 0;                      ///< tokens
        bool waiting = false;              ///< for its timer
    };

    struct Connection {
        explicit Connection(int descriptor) : fd(descriptor) {}
        int fd;
        std::string in;
        std::string out;
        std::size_t out_at = 0;
        std::unique_ptr<Pending> pending;
        Clock::time_point idle_since{};
        int served = 0;
        bool close_when_sent = false;
        bool wants_write = false;
        bool continued = false;
    };

    void accept_all();
    void on_readable(Connection& connection);
    void serve_buffered(Connection& connection);
    bool serve_until_pending(Connection& connection);
    void serve(Connection& connection, const Request& request);
    bool refuse(Connection& connection, const Request& request);
    void remember(const Request& request);
    void serve_special(Connection& connection, const Request& request);
    std::string answer_to(const Request& request, const Behaviour& behaviour);
    void begin(Connection& connection,
               const Behaviour& behaviour,
               const GenerationRequest& request,
               std::optional<std::string> whole);
    bool advance(Connection& connection);
    bool advance_stream(Connection& connection);
    bool advance_whole(Connection& connection);
    bool fail(Connection& connection);
    void finish(Connection& connection);
    void answer(Connection& connection, int status, std::string_view body);
    bool flush(Connection& connection);
    void watch_writing(Connection& connection, bool on);
    void schedule(Connection& connection, int delay_ms);
    void run_timers();
    void close_idle();
    void close(Connection& connection);
    std::string stats() const;
    void grow(std::size_t mib);
    void sleep_if_asked();
    void wake();
    bool serve_as_vllm(Connection& connection, const Request& request);
    bool serve_vllm_tokens(Connection& connection, const Request& request);
    bool serve_vllm_sleep(Connection& connection, const Request& request);
    void sleep_as_vllm(std::string_view level);
    void wake_as_vllm(std::string_view tags);

    int epoll_;
    int listener_;
    std::string key_;
    std::vector<std::string> served_;
    bool vllm_tools_;
    VllmSleep vllm_;
    Answers answers_;
    Behaviour behaviour_;
    bool ready_ = false;
    Stats stats_;
    std::unordered_map<int, std::unique_ptr<Connection>> connections_;
    std::vector<std::unique_ptr<Connection>>
        closed_;  ///< freed when no event can name them any more
    std::multimap<Clock::time_point, Connection*> timers_;
    std::string last_request_ = "null";
    std::string weights_;
    std::vector<std::string> grown_;
    volatile int sleep_asked_ = 0;
    bool asleep_ = false;
};

}  // namespace drover::fake
