#include <algorithm>
#include <charconv>

#include <unistd.h>

#include "platform/files.hpp"
#include "platform/memory_probe.hpp"
#include "platform/process_group.hpp"

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

constexpr Bytes kKernelFileMax = 1_MiB;

/// The file's text; empty when it cannot be read.
std::string text_of(const fs::path& file) {
    auto text = read_file(file, kKernelFileMax);
    return text.ok() ? *std::move(text) : std::string();
}

/// The number that `text` begins with; nullopt for "max".
std::optional<Bytes> parse_number(std::string_view text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    return error == std::errc() ? std::optional(Bytes(count)) : std::nullopt;
}

/// Calls `each(line)` for every line.
template <typename Each>
void for_each_line(std::string_view text, Each each) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        each(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

/// The number after `field` and a space in a file such as memory.stat.
std::optional<Bytes> stat_field(std::string_view stat, std::string_view field) {
    std::optional<Bytes> found;
    for_each_line(stat, [&](std::string_view line) {
        if (line.substr(0, field.size()) == field && line.substr(field.size(), 1) == " ") {
            found = parse_number(line.substr(field.size() + 1));
        }
    });
    return found;
}

/// The level in `folder`; `v2` says which files it has.
std::optional<CgroupLevel> read_level(const fs::path& folder, bool v2) {
    if (v2) {
        return parse_cgroup_level({text_of(folder / "memory.max"), text_of(folder / "memory.high")},
                                  text_of(folder / "memory.current"),
                                  text_of(folder / "memory.stat"));
    }
    return parse_cgroup_level({text_of(folder / "memory.limit_in_bytes")},
                              text_of(folder / "memory.usage_in_bytes"),
                              text_of(folder / "memory.stat"));
}

/// Lowers `memory` to what the group at `group` and each one above it allow. In a container the
/// path may be the host's, which does not exist here; then the root is the container's own group.
void apply_cgroups(HostMemory& memory, const fs::path& root, const CgroupPath& group) {
    const fs::path top = root / (group.v2 ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    const Bytes machine = memory.total;
    for (fs::path relative = fs::path(group.path).relative_path();;
         relative = relative.parent_path()) {
        const auto level = read_level(relative.empty() ? top : top / relative, group.v2);
        if (level.has_value() && level->limit < machine) {
            memory.cgroup_limit =
                std::min(memory.cgroup_limit.value_or(level->limit), level->limit);
            memory.total = std::min(memory.total, level->limit);
            memory.available = std::min(memory.available, level->free);
        }
        if (relative.empty()) {
            return;
        }
    }
}

}  // namespace

std::optional<Bytes> kilobyte_field(std::string_view text, std::string_view field) {
    std::optional<Bytes> found;
    for_each_line(text, [&](std::string_view line) {
        if (line.substr(0, field.size()) != field || line.substr(field.size(), 1) != ":") {
            return;
        }
        line.remove_prefix(field.size() + 1);
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        if (const auto kilobytes = parse_number(line); kilobytes.has_value()) {
            found = *kilobytes * 1024;
        }
    });
    return found;
}

std::optional<ProcessMemory> parse_smaps_rollup(std::string_view text) {
    const auto total = kilobyte_field(text, "Pss");
    if (!total.has_value()) {
        return std::nullopt;
    }
    // Linux before 5.10 does not split it.
    return ProcessMemory{.total = *total,
                         .anonymous = kilobyte_field(text, "Pss_Anon").value_or(Bytes(0)),
                         .file = kilobyte_field(text, "Pss_File").value_or(Bytes(0))};
}

std::optional<CgroupPath> memory_cgroup(std::string_view proc_self_cgroup) {
    std::optional<CgroupPath> v1;
    std::optional<CgroupPath> v2;
    for_each_line(proc_self_cgroup, [&](std::string_view line) {  // "4:memory:/path", "0::/path"
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos) {
            return;
        }
        const std::string controllers =
            "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
        const std::string path(line.substr(second + 1));
        if (controllers.find(",memory,") != std::string::npos) {
            v1 = CgroupPath{.path = path, .v2 = false};
        } else if (line.substr(0, first) == "0") {
            v2 = CgroupPath{.path = path, .v2 = true};
        }
    });
    return v1.has_value() ? v1 : v2;
}

std::optional<CgroupLevel> parse_cgroup_level(const std::vector<std::string>& limits,
                                              std::string_view usage,
                                              std::string_view stat) {
    std::optional<Bytes> limit;
    for (const std::string& text : limits) {
        if (const auto number = parse_number(text); number.has_value()) {
            limit = std::min(limit.value_or(*number), *number);
        }
    }
    const auto used = parse_number(usage);
    if (!limit.has_value() || !used.has_value()) {
        return std::nullopt;
    }
    // v1's plain fields leave out the groups below; its usage does not.
    const auto field = [&](const std::string& name) {
        const auto whole = stat_field(stat, "total_" + name);
        return whole.has_value() ? *whole : stat_field(stat, name).value_or(Bytes(0));
    };
    const Bytes droppable =
        field("inactive_file") + field("active_file") + field("slab_reclaimable");
    const Bytes free = *limit - *used + std::min(droppable, *used);
    return CgroupLevel{.limit = *limit, .free = std::max(free, Bytes(0))};
}

Result<HostMemory> host_memory(const fs::path& root) {
    const auto text = read_file(root / "proc/meminfo", kKernelFileMax);
    if (!text.ok()) {
        return text.error();
    }
    const auto total = kilobyte_field(*text, "MemTotal");
    const auto available = kilobyte_field(*text, "MemAvailable");
    if (!total.has_value() || !available.has_value()) {
        return Error{ErrorCode::io_error, "/proc/meminfo has no MemTotal or MemAvailable"};
    }
    HostMemory memory{.total = *total, .available = *available};
    if (const auto group = memory_cgroup(text_of(root / "proc/self/cgroup")); group.has_value()) {
        apply_cgroups(memory, root, *group);
    }
    return memory;
}

double memory_stall(const fs::path& root) {
    const std::string text = text_of(root / "proc/pressure/memory");
    double percent = 0;
    for_each_line(text, [&](std::string_view line) {  // "full avg10=1.25 avg60=..."
        constexpr std::string_view kStart = "full avg10=";
        if (line.starts_with(kStart)) {
            std::from_chars(line.data() + kStart.size(), line.data() + line.size(), percent);
        }
    });
    return percent / 100;
}

Result<ProcessMemory> process_pss(pid_t pid) {
    const auto text = read_file("/proc/" + std::to_string(pid) + "/smaps_rollup", kKernelFileMax);
    const auto memory = text.ok() ? parse_smaps_rollup(*text) : std::nullopt;
    if (!memory.has_value()) {
        return Error{ErrorCode::not_found, "there is no process " + std::to_string(pid)};
    }
    return *memory;
}

Result<ProcessMemory> group_pss(pid_t group) {
    std::optional<ProcessMemory> sum;
    for (const pid_t pid : group_members(group)) {
        if (const auto memory = process_pss(pid); memory.ok()) {
            sum = sum.value_or(ProcessMemory());
            sum->total += memory->total;
            sum->anonymous += memory->anonymous;
            sum->file += memory->file;
        }
    }
    if (!sum.has_value()) {
        return Error{ErrorCode::not_found, "there is no process group " + std::to_string(group)};
    }
    return *sum;
}

pid_t own_pid() {
    return ::getpid();
}

}  // namespace drover::platform
