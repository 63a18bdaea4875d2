// How much memory there is and who has it. Any thread; reads a few small files of the kernel.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::platform {

/// Host RAM as this process may use it.
struct HostMemory {
    Bytes total{};      ///< of the machine, or the limit of our cgroup if smaller
    Bytes available{};  ///< what can be taken now without pushing anybody out
    std::optional<Bytes>
        cgroup_limit{};  ///< the tightest limit above us, if below the machine's RAM
};

/// Reads /proc/meminfo and the limits of all cgroups (v1 and v2) above this process. Page cache
/// that can be dropped counts as available. `root` stands in for "/" in tests.
Result<HostMemory> host_memory(const std::filesystem::path& root = "/");

/// Share of the last ten seconds in which no process got on because all of them waited for memory
/// (/proc/pressure/memory, "full avg10"); 0 where the kernel does not count it.
double memory_stall(const std::filesystem::path& root = "/");

/// A share of memory: pages that several processes share count in parts.
struct ProcessMemory {
    Bytes total{};      ///< PSS
    Bytes anonymous{};  ///< the part that no file backs
    Bytes file{};       ///< the part that is mapped files: weights, programs
};

/// What one process has. `not_found` when there is no such process. Takes tens of milliseconds for
/// a process with many gigabytes: for the blocking pool.
Result<ProcessMemory> process_pss(pid_t pid);

/// What all living processes of a group have. `not_found` when there is none.
Result<ProcessMemory> group_pss(pid_t group);

/// Our own process.
pid_t own_pid();

/// The number of kilobytes that `field` has in a file such as /proc/meminfo ("MemTotal:  123 kB").
std::optional<Bytes> kilobyte_field(std::string_view text, std::string_view field);

/// PSS from the text of /proc/PID/smaps_rollup; nullopt when it has none (the process has ended).
std::optional<ProcessMemory> parse_smaps_rollup(std::string_view text);

/// Our group's path in the v2 hierarchy, or in v1's memory hierarchy, from /proc/self/cgroup.
struct CgroupPath {
    std::string path;
    bool v2 = false;
};
std::optional<CgroupPath> memory_cgroup(std::string_view proc_self_cgroup);

/// What one cgroup lets its members take together.
struct CgroupLevel {
    Bytes limit{};
    Bytes free{};  ///< of the limit, counting page cache that can be dropped
};

/// The level from the texts of its files (empty: no such file): the limits memory.max and
/// memory.high or memory.limit_in_bytes, its usage, and memory.stat. Nullopt when it has no limit.
std::optional<CgroupLevel> parse_cgroup_level(const std::vector<std::string>& limits,
                                              std::string_view usage,
                                              std::string_view stat);

}  // namespace drover::platform
