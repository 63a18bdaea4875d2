// Lets engines share the machine's processors. Preloaded into an unchanged llama-server
// (LD_PRELOAD), this stands in front of llama_decode, which computes one batch: it computes with
// all of the threads that the server was given while no other engine computes, and with a fair part
// of them while others do.
//
// The threads of an engine wait for each other by spinning at every step. So two engines with a
// thread for each core slow each other down tenfold, and an engine with half of the threads leaves
// a machine half idle that serves nobody else.
//
// Who computes is said by locks on the bytes of one file (DROVER_COMPUTE_LOCKS), each engine's on
// the byte of its process id: the kernel takes a lock away however its holder ends.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "llama.h"

namespace {

// An engine that answers computes again after a moment for sampling and sending: it keeps its part
// of the processors meanwhile, or all others would take it at each token.
constexpr std::chrono::milliseconds kLinger{5};

// Whether another thread of this process has something to do, on a processor or waiting for one.
bool others_are_runnable() {
    const std::string own = std::to_string(gettid());
    std::error_code failed;
    std::filesystem::directory_iterator thread("/proc/self/task", failed);
    for (; thread != std::filesystem::directory_iterator(); thread.increment(failed)) {
        std::ifstream file(thread->path() / "stat");
        std::string stat;
        std::getline(file, stat);
        // proc_pid_stat(5): the state stands behind the name, which may have brackets in it.
        const std::size_t name_end = stat.rfind(") ");
        if (thread->path().filename() != own && name_end != std::string::npos &&
            stat[name_end + 2] == 'R') {
            return true;
        }
    }
    return false;
}

class Table {
  public:
    explicit Table(const char* path) : file_(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}

    bool usable() const { return file_ >= 0; }
    void enter() const { lock(F_WRLCK); }
    void leave() const { lock(F_UNLCK); }
    // Those of other processes, among the process ids from `first` to `last`.
    int others(off_t first = 0, off_t last = kMostProcesses) const {
        struct flock found = span(F_WRLCK, first, last);
        if (first > last || fcntl(file_, F_OFD_GETLK, &found) != 0 || found.l_type == F_UNLCK) {
            return 0;
        }
        // Which one of them is told is not said, so there may be more on both sides.
        return 1 + others(first, found.l_start - 1) + others(found.l_start + found.l_len, last);
    }

  private:
    static constexpr off_t kMostProcesses = 1 << 22;  // Linux: PID_MAX_LIMIT

    static struct flock span(short type, off_t first, off_t last) {
        struct flock result {};
        result.l_type = type;
        result.l_whence = SEEK_SET;
        result.l_start = first;
        result.l_len = last - first + 1;
        return result;
    }
    void lock(short type) const {
        struct flock own = span(type, getpid(), getpid());
        fcntl(file_, F_OFD_SETLK, &own);
    }

    int file_;
};

// This engine's place among those that compute.
class Place {
  public:
    explicit Place(const char* path) : table_(path) {
        if (table_.usable()) {
            std::thread([this] { leave_when_idle(); }).detach();
        }
    }

    // How many others compute; one where that cannot be known.
    int enter() {
        if (!table_.usable()) {
            return 1;
        }
        const std::lock_guard<std::mutex> guard(mutex_);
        ++steps_;
        if (!entered_) {
            table_.enter();
            entered_ = true;
            entered_.notify_one();
        }
        computing_ = true;
        return table_.others();
    }
    void pause() { computing_ = false; }

  private:
    [[noreturn]] void leave_when_idle() {
        for (;;) {
            entered_.wait(false);
            const unsigned seen = steps_;
            std::this_thread::sleep_for(kLinger);
            // Between two tokens on a busy machine: what waits for a processor is not idle. It is
            // asked last, for it reads a file of each thread.
            if (computing_ || steps_ != seen || others_are_runnable()) {
                continue;
            }
            const std::lock_guard<std::mutex> guard(mutex_);
            if (!computing_ && steps_ == seen) {
                table_.leave();
                entered_ = false;
            }
        }
    }

    Table table_;
    std::mutex mutex_;  // of entering and leaving
    std::atomic<bool> entered_{false};
    std::atomic<bool> computing_{false};
    std::atomic<unsigned> steps_{0};
};

// Never destroyed: its thread has no end.
Place* place() {
    static const char* const path = std::getenv("DROVER_COMPUTE_LOCKS");
    static Place* const only = path != nullptr ? new Place(path) : nullptr;
    return only;
}

struct Threads {
    std::int32_t single;  // for one token of each sequence
    std::int32_t batch;   // for prompts
};

// What the server chose for this context, before this changed it. On the server's main thread only.
Threads chosen_for(llama_context* context) {
    static std::map<llama_context*, Threads> all;
    const Threads now{llama_n_threads(context), llama_n_threads_batch(context)};
    return all.try_emplace(context, now).first->second;
}

}  // namespace

extern "C" std::int32_t llama_decode(llama_context* context, llama_batch batch) {
    static auto* const real = reinterpret_cast<std::int32_t (*)(llama_context*, llama_batch)>(
        dlsym(RTLD_NEXT, "llama_decode"));
    if (place() == nullptr) {
        return real(context, batch);
    }
    const Threads chosen = chosen_for(context);
    const std::int32_t shares = 1 + place()->enter();
    llama_set_n_threads(
        context, std::max(chosen.single / shares, 1), std::max(chosen.batch / shares, 1));
    const std::int32_t result = real(context, batch);
    place()->pause();
    return result;
}
