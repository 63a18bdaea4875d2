// What the fake engine does, well or badly: a list of directives such as "load=50,slow=20,cut". The
// list comes from --fake, from FAKE_ENGINE, from the model's file name
// ("smol@load=50,alloc=64.gguf"), and for one request from the header x-fake or the JSON field
// "fake". README.md has the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drover::fake {

/// What goes wrong with an answer.
enum class Fault {
    none,
    crash,        ///< the process dies by SIGSEGV half-way through the answer
    exit,         ///< the process ends with status 3 half-way through the answer
    hang,         ///< this request is never answered
    freeze,       ///< the whole process falls silent, health check included
    garbage,      ///< bytes that are not HTTP, then the end
    cut,          ///< the connection ends half-way through the answer
    cut_head,     ///< the connection ends within the head of the answer
    huge_header,  ///< a response header of 128 KiB
    bad_chunk,    ///< a stream whose chunk size is no number
};

struct Behaviour {
    // Of the process, when it starts.
    int listen_ms = 0;                ///< until it listens
    int load_ms = 0;                  ///< from then until it is ready; 503 until then
    bool load_hang = false;           ///< never ready
    bool load_silent = false;         ///< accepts connections while loading, but answers none
    bool health_garbage = false;      ///< the health check is answered with bytes that are no HTTP
    std::optional<int> exit_status;   ///< ends when it is loaded
    std::optional<int> raise_signal;  ///< kills itself when it is loaded
    std::string message;              ///< printed before that
    bool ignore_term = false;
    int term_ms = 0;                  ///< between SIGTERM and the end
    bool grandchild = false;          ///< a child that outlives it and holds its output
    bool grandchild_session = false;  ///< the same in a session of its own
    bool worker = false;              ///< a child whose end is its own
    bool binary = false;              ///< prints bytes that are no text, and a line of 1 MiB
    bool flood = false;               ///< never stops printing
    bool sleepless = false;           ///< SIGUSR1 does not put it to sleep
    bool sleep_crash = false;         ///< the process dies by SIGSEGV when it is to sleep
    std::size_t sleep_keeps_mib = 0;  ///< while it sleeps
    bool sleep_fails = false;         ///< /sleep and /wake_up are answered by 500
    bool remember = false;            ///< /fake/last tells the last request
    int running = 0;                  ///< told by its metrics, as `waiting`
    int waiting = 0;
    int cache_used = 0;         ///< percent
    int prompt_ms = 0;          ///< that its metrics say a token of a prompt took; 0: they do not
    int wake_busy_ms = 0;       ///< 503 for so long after /wake_up was answered
    int wake_ms = 0;            ///< to wake up
    bool wake_crash = false;    ///< the process dies by SIGSEGV when it is to wake up
    std::size_t alloc_mib = 0;  ///< touched before it is ready
    int backlog = 511;
    int keepalive_max = 0;      ///< requests on one connection; 0: no limit
    int keepalive_idle_ms = 0;  ///< idle connections are closed after this; 0: never

    // Of an answer.
    Fault fault = Fault::none;
    int after = -1;  ///< tokens before the fault; -1: half of them
    int status = 200;
    bool too_long = false;      ///< status 400: the request exceeds the context
    std::optional<int> tokens;  ///< else what the request asks for, else 16
    bool endless = false;       ///< the tokens never end
    int slow_ms = 0;   ///< between tokens; before the answer that is no stream, times its tokens
    int think_ms = 0;  ///< before the first byte
    std::string say;   ///< the text of every token
    int sure = 99;     ///< the probability of every token, in percent; 0: none is told
    std::string call;  ///< the answer is a call of this tool
    std::string arguments = "{}";  ///< of that call
    std::size_t grow_mib = 0;      ///< allocated and kept, each time
    int dimensions = 384;          ///< of embeddings
    int slot_tokens = 0;           ///< in each slot, as if it had served somebody
    int save_ms = 0;               ///< before a slot is saved
    bool save_crash = false;       ///< the process dies by SIGSEGV when a slot is to be saved
};

/// Applies `directives`, separated by commas. Nullopt, or the one that is not understood.
std::optional<std::string> apply(Behaviour& behaviour, std::string_view directives);

/// The directives in a model's file name: what is between '@' and the extension.
std::string_view directives_of_model(std::string_view path);

}  // namespace drover::fake
