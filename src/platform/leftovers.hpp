// What an earlier Drover may have left behind: processes and sockets. Engines die with their
// server, but their children need not. Any thread; blocking.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace drover::platform {

/// The entry of an engine's environment ("DROVER_ENGINE=/run/.../x.sock") by which it and all its
/// descendants are known as ours, whatever group or parent they have.
std::string leftover_mark(const std::filesystem::path& socket);

/// A folder for engine sockets that belongs to this process alone for as long as this lives.
class RuntimeDirectory {
  public:
    /// Makes the folder (0700), locks it, kills the processes that a dead owner of it left and
    /// removes their sockets. `unavailable` when another process has it; `io_error` when it is not
    /// ours.
    static Result<RuntimeDirectory> claim(const std::filesystem::path& path);

    RuntimeDirectory(RuntimeDirectory&& other) noexcept;
    RuntimeDirectory& operator=(RuntimeDirectory&&) = delete;
    ~RuntimeDirectory();

    const std::filesystem::path& path() const { return path_; }
    /// How many processes were killed by claim().
    std::size_t killed() const { return killed_; }

  private:
    RuntimeDirectory(std::filesystem::path path, int lock, std::size_t killed)
        : path_(std::move(path)), lock_(lock), killed_(killed) {}

    std::filesystem::path path_;
    int lock_;  ///< -1 after a move
    std::size_t killed_;
};

/// Kills all processes of this user that carry the mark of a socket in `directory`; returns when
/// they are gone, at the latest after two seconds, with their number.
std::size_t kill_leftovers(const std::filesystem::path& directory);

}  // namespace drover::platform
