// Lets an unchanged llama-server sleep on command and wake up fast. Preloaded into it (LD_PRELOAD),
// this stands in front of four functions that the program and its libraries call.
//
// The server can sleep by itself after a while without requests (--sleep-idle-seconds): it ends its
// context, frees its model, and the next request loads both again. With this library
//  * SIGUSR1 makes it sleep at once: its clock leaps ahead, which it notices when it next has
//    nothing to do;
//  * the model stays: what it frees is given back to it when it loads the same file again. Only the
//    pages of the mapped file are dropped, which the kernel's page cache keeps, and those of other
//    weights once they lie in a file, too (weights.cpp);
//  * a KV cache is not filled with zeros when it is made: the kernel gives zeroed pages when they
//    are first touched.
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ggml-backend.h"
#include "llama.h"
#include "weights.hpp"

namespace {

// The signal may come at any time; everything else happens on the server's main thread.
std::atomic<bool> clock_leaps{false};
std::atomic<bool> models_stay{false};

struct Models {
    std::map<const llama_model*, std::string> loaded;  // by model: its file
    std::map<std::string, llama_model*> kept;          // by file
};

Models& models() {
    static Models all;
    return all;
}

template <typename Function>
Function* original(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void listen() {
    struct sigaction action {};
    action.sa_handler = [](int) {
        models_stay = true;
        clock_leaps = true;
    };
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
}

// The process no longer counts the pages of the file as its own; they come back from the page cache
// when touched.
void drop_pages_of(const std::string& file) {
    std::FILE* maps = std::fopen("/proc/self/maps", "r");
    if (maps == nullptr) {
        return;
    }
    char line[8192];
    while (std::fgets(line, sizeof line, maps) != nullptr) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        line[std::strcspn(line, "\n")] = '\0';
        const std::size_t length = std::strlen(line);
        if (length > file.size() && file == line + length - file.size() &&
            std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2) {
            madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
    }
    std::fclose(maps);
}

// Fresh private pages are zero: giving them back clears them.
void clear_lazily(char* begin, std::size_t size) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto address = reinterpret_cast<std::uintptr_t>(begin);
    const std::uintptr_t first = (address + page - 1) / page * page;
    const std::uintptr_t last = (address + size) / page * page;
    if (first >= last ||
        madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0) {
        std::memset(begin, 0, size);
        return;
    }
    std::memset(begin, 0, first - address);
    std::memset(reinterpret_cast<void*>(last), 0, address + size - last);
}

}  // namespace

extern "C" {

std::int64_t ggml_time_ms(void) {
    static auto* const real = original<std::int64_t(void)>("ggml_time_ms");
    // Each look is later than the last by more than any idle time: a task that was posted with a
    // leap must seem old too.
    static std::atomic<std::int64_t> leaps{0};
    return real() + (clock_leaps ? ++leaps << 32 : 0);
}

llama_model* llama_model_load_from_file(const char* path, llama_model_params params) {
    static auto* const real =
        original<llama_model*(const char*, llama_model_params)>("llama_model_load_from_file");
    models_stay = false;
    if (auto kept = models().kept.extract(path)) {
        return kept.mapped();
    }
    const ModelLoading notes;
    llama_model* const model = real(path, params);
    models().loaded[model] = path;
    return model;
}

void llama_model_free(llama_model* model) {
    static auto* const real = original<void(llama_model*)>("llama_model_free");
    clock_leaps = false;
    const auto found = models().loaded.find(model);
    if (!models_stay || found == models().loaded.end()) {
        models().loaded.erase(model);
        real(model);
        return;
    }
    models().kept[found->second] = model;
    drop_pages_of(found->second);
    drop_weights();
    malloc_trim(0);
}

void ggml_backend_buffer_clear(ggml_backend_buffer_t buffer, std::uint8_t value) {
    static auto* const real =
        original<void(ggml_backend_buffer_t, std::uint8_t)>("ggml_backend_buffer_clear");
    if (value == 0 && std::strcmp(ggml_backend_buffer_name(buffer), "CPU") == 0) {
        clear_lazily(static_cast<char*>(ggml_backend_buffer_get_base(buffer)),
                     ggml_backend_buffer_get_size(buffer));
    } else {
        real(buffer, value);
    }
}

}  // extern "C"
