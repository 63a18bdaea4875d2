// How much memory there is and who has it. Any thread; reads a few small files of the kernel.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::platform {

/// Host RAM as this process may use it.
struct HostMemory {
    Bytes total;                        ///< of the machine, or the limit of our cgroup if smaller
    Bytes available;                    ///< what can be taken now without pushing anybody out
    std::optional<Bytes> cgroup_limit;  ///< the tightest limit above us
};

/// Reads /proc/meminfo and the limits of all cgroups (v1 and v2) above this process.
Result<HostMemory> host_memory();

/// A process's share of memory: pages that it shares count in parts.
struct ProcessMemory {
    Bytes total;      ///< PSS
    Bytes anonymous;  ///< the part that no file backs
};

/// `not_found` when there is no such process.
Result<ProcessMemory> process_pss(pid_t pid);

/// Our own process.
pid_t own_pid();

/// The number of kilobytes that `field` has in a file such as /proc/meminfo ("MemTotal:  123 kB").
std::optional<Bytes> kilobyte_field(std::string_view text, std::string_view field);

/// Our group's path in the v2 hierarchy, or in v1's memory hierarchy, from /proc/self/cgroup.
struct CgroupPath {
    std::string path;
    bool v2 = false;
};
std::optional<CgroupPath> memory_cgroup(std::string_view proc_self_cgroup);

}  // namespace drover::platform
