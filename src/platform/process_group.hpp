// Who is in a process group. Any thread; looks at every process of the machine, so rarely.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace drover::platform {

/// The living processes of `group`. One that has ended but is not reaped holds no memory and does
/// not count: a container's init may never reap what it inherits.
std::vector<pid_t> group_members(pid_t group);

/// What /proc/PID/stat says of a process.
struct ProcessStat {
    pid_t pid = 0;
    char state = '?';
    pid_t group = 0;
};

/// Reads it from that file's text; the program's name in it may contain anything.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

}  // namespace drover::platform
