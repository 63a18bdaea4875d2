// Weights that lie in no file. llama.cpp maps a model's file, but what it reads or repacks lies in
// memory of the process, which cannot be given back while the engine sleeps. Here such weights go
// to a file without a name in DROVER_SLEEP_DIRECTORY, which is mapped in their place: from then on
// the kernel may drop their pages, and reads them again when they are touched. Preloaded into an
// unchanged llama-server (LD_PRELOAD), this stands in front of two functions from which it learns
// where weights lie.
#include "weights.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ggml-backend.h"

namespace {

// Buffers of these types are memory of the process.
constexpr std::array<std::string_view, 3> kInMemory{"CPU", "CPU_REPACK", "AMX"};

// What is left for others on the disk.
constexpr std::uint64_t kDiskReserve = std::uint64_t{1} << 30;

// Between two exchanges of memory for pages of the file: so much is there twice meanwhile.
constexpr std::size_t kPiece = std::size_t{16} << 20;

class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (descriptor_ >= 0) {
            close(descriptor_);
        }
    }

    bool there() const { return descriptor_ >= 0; }
    int descriptor() const { return descriptor_; }

    // Its blocks are there, on a disk that keeps enough for others.
    bool takes(std::size_t size) const {
        struct statfs kind {};
        struct statvfs room {};
        return fstatfs(descriptor_, &kind) == 0 && kind.f_type != TMPFS_MAGIC &&
               kind.f_type != RAMFS_MAGIC &&
               fallocate(descriptor_, 0, 0, static_cast<off_t>(size)) == 0 &&
               fstatvfs(descriptor_, &room) == 0 && room.f_bavail * room.f_frsize >= kDiskReserve;
    }

    bool write(const char* from, std::size_t size, std::size_t offset) const {
        while (size > 0) {
            const ssize_t done = pwrite(descriptor_, from, size, static_cast<off_t>(offset));
            if (done <= 0) {
                return false;
            }
            from += done;
            offset += static_cast<std::size_t>(done);
            size -= static_cast<std::size_t>(done);
        }
        return true;
    }

    // The disk gets its pages now instead of in half a minute, so that they can be dropped.
    void flush_in_background() const {
        const int own = fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
        std::thread([own] {
            sync_file_range(own, 0, 0, SYNC_FILE_RANGE_WRITE);
            close(own);
        }).detach();
    }

  private:
    int descriptor_;
};

int nameless_file() {
    const char* const directory = std::getenv("DROVER_SLEEP_DIRECTORY");
    if (directory == nullptr) {
        return -1;
    }
    std::string path = std::string(directory) + "/weights-XXXXXX";
    const int descriptor = mkostemp(path.data(), O_CLOEXEC);
    if (descriptor >= 0) {
        unlink(path.c_str());
    }
    return descriptor;
}

// The whole pages of a buffer.
struct Pages {
    char* begin;
    std::size_t size;

    static Pages of(ggml_backend_buffer_t buffer) {
        const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
        const auto address = reinterpret_cast<std::uintptr_t>(ggml_backend_buffer_get_base(buffer));
        const std::uintptr_t first = (address + page - 1) / page * page;
        const std::uintptr_t last = (address + ggml_backend_buffer_get_size(buffer)) / page * page;
        return {reinterpret_cast<char*>(first), last > first ? last - first : 0};
    }
};

// They hold the same before and after, so that others may read them meanwhile.
bool exchange_for_file(Pages pages) {
    const File file(nameless_file());
    if (!file.there() || !file.takes(pages.size)) {
        return false;
    }
    for (std::size_t done = 0; done < pages.size; done += kPiece) {
        const std::size_t size = std::min(kPiece, pages.size - done);
        if (!file.write(pages.begin + done, size, done) ||
            mmap(pages.begin + done,
                 size,
                 PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED,
                 file.descriptor(),
                 static_cast<off_t>(done)) == MAP_FAILED) {
            return false;
        }
    }
    file.flush_in_background();
    return true;
}

enum class Place {
    memory,
    file,
    stays
};

thread_local bool loading = false;

// Models are loaded and freed on one thread, their companions perhaps on another.
std::mutex guard;

std::map<ggml_backend_buffer_t, Place>& buffers() {
    static std::map<ggml_backend_buffer_t, Place> all;
    return all;
}

}  // namespace

ModelLoading::ModelLoading() {
    loading = true;
}
ModelLoading::~ModelLoading() {
    loading = false;
}

void drop_weights() {
    const std::lock_guard lock(guard);
    for (auto& [buffer, place] : buffers()) {
        const Pages pages = Pages::of(buffer);
        if (place == Place::memory) {
            place = exchange_for_file(pages) ? Place::file : Place::stays;
        } else if (place == Place::file) {
            madvise(pages.begin, pages.size, MADV_DONTNEED);
        }
    }
}

extern "C" {

void ggml_backend_buffer_set_usage(ggml_backend_buffer_t buffer,
                                   enum ggml_backend_buffer_usage usage) {
    static auto* const real = reinterpret_cast<decltype(&ggml_backend_buffer_set_usage)>(
        dlsym(RTLD_NEXT, "ggml_backend_buffer_set_usage"));
    real(buffer, usage);
    if (loading && usage == GGML_BACKEND_BUFFER_USAGE_WEIGHTS && Pages::of(buffer).size > 0 &&
        std::ranges::find(kInMemory, ggml_backend_buffer_name(buffer)) != kInMemory.end()) {
        const std::lock_guard lock(guard);
        buffers().emplace(buffer, Place::memory);
    }
}

void ggml_backend_buffer_free(ggml_backend_buffer_t buffer) {
    static auto* const real = reinterpret_cast<decltype(&ggml_backend_buffer_free)>(
        dlsym(RTLD_NEXT, "ggml_backend_buffer_free"));
    {
        const std::lock_guard lock(guard);
        buffers().erase(buffer);
    }
    real(buffer);
}

}  // extern "C"
