#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include <sys/inotify.h>
#include <unistd.h>

#include "platform/clock.hpp"
#include "platform/folder_watch.hpp"

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

/// The kernel's default for one user is 8192 on small machines.
constexpr std::size_t kWatchesMax = 4096;
constexpr int kDepthMax = 8;
constexpr std::uint32_t kChanges = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                   IN_CLOSE_WRITE | IN_DELETE_SELF | IN_ONLYDIR;
/// A copied folder is many events: one look at their end is enough.
constexpr std::chrono::milliseconds kQuiet{200};
constexpr int kQuietRounds = 10;

}  // namespace

FolderWatch::FolderWatch(Loop& loop) : loop_(loop), descriptor_(loop) {}

bool FolderWatch::add(const fs::path& folder, const std::string& only) {
    if (only_.size() >= kWatchesMax) {
        return false;
    }
    const int watch = ::inotify_add_watch(descriptor_.native_handle(), folder.c_str(), kChanges);
    if (watch < 0) {
        return false;
    }
    only_[watch].insert(only);
    return true;
}

void FolderWatch::add_tree(const fs::path& folder) {
    if (!add(folder, "")) {
        return;
    }
    std::error_code error;
    fs::recursive_directory_iterator walk(
        folder, fs::directory_options::skip_permission_denied, error);
    for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
        std::error_code ignored;
        if (walk.depth() >= kDepthMax) {
            walk.disable_recursion_pending();
        } else if (!walk->is_symlink(ignored) && walk->is_directory(ignored) &&
                   !add(walk->path(), "")) {
            return;
        }
    }
}

void FolderWatch::add_parent(const fs::path& missing) {
    fs::path child = missing;
    std::error_code error;
    while (child.has_parent_path() && child != child.parent_path()) {
        const fs::path parent = child.parent_path();
        if (fs::is_directory(parent, error)) {
            add(parent, child.filename().string());
            return;
        }
        child = parent;
    }
}

void FolderWatch::watch(const std::vector<fs::path>& folders) {
    const int fresh = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fresh < 0) {
        return;
    }
    boost::system::error_code failed;
    descriptor_.close(failed);
    descriptor_.assign(fresh, failed);
    if (failed) {
        ::close(fresh);
    }
    only_.clear();
    for (const fs::path& folder : folders) {
        std::error_code error;
        if (fs::is_directory(folder, error)) {
            add_tree(folder);
        } else {
            add_parent(folder);
        }
    }
}

bool FolderWatch::take_events() {
    alignas(inotify_event) std::array<char, 16 * 1024> buffer;
    bool matters = false;
    for (;;) {
        const ssize_t size = ::read(descriptor_.native_handle(), buffer.data(), buffer.size());
        if (size <= 0) {
            return matters;
        }
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(size);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const std::string name(event.len == 0 ? "" : buffer.data() + at + sizeof event);
            const auto watch = only_.find(event.wd);
            matters = matters || (event.mask & IN_Q_OVERFLOW) != 0 ||
                      (watch != only_.end() &&
                       (watch->second.contains("") || watch->second.contains(name)));
            at += sizeof event + event.len;
        }
    }
}

Task<> FolderWatch::changed(std::chrono::milliseconds longest) {
    Timer deadline(loop_, now() + longest);
    if (!descriptor_.is_open()) {
        co_await deadline.async_wait(as_result);  // the user's watches are used up
        co_return;
    }
    deadline.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            descriptor_.cancel();
        }
    });
    bool seen = false;
    while (!seen && now() < deadline.expiry()) {
        const auto [error] = co_await descriptor_.async_wait(Descriptor::wait_read, as_result);
        if (error) {
            co_return;
        }
        seen = take_events();
    }
    Timer quiet(loop_);
    for (int round = 0; round < kQuietRounds && seen; ++round) {
        quiet.expires_after(kQuiet);
        co_await quiet.async_wait(as_result);
        seen = take_events();
    }
}

}  // namespace drover::platform
