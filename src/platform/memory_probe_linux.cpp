#include <algorithm>
#include <charconv>
#include <filesystem>

#include <unistd.h>

#include "platform/files.hpp"
#include "platform/memory_probe.hpp"

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

constexpr Bytes kProcFileMax = 1_MiB;

std::optional<Bytes> number_in(const fs::path& file) {
    const auto text = read_file(file, kProcFileMax);
    if (!text.ok()) {
        return std::nullopt;
    }
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), count);
    if (error != std::errc()) {
        return std::nullopt;  // "max"
    }
    return Bytes(count);
}

struct CgroupMemory {
    Bytes limit;
    Bytes free;
};

/// The tightest limit of the group at `path` and of those above it, and what is left below it.
/// A page cache that can be dropped counts as free.
std::optional<CgroupMemory> cgroup_memory(const CgroupPath& group, Bytes machine_total) {
    const fs::path root = group.v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* limit_file = group.v2 ? "memory.max" : "memory.limit_in_bytes";
    const char* usage_file = group.v2 ? "memory.current" : "memory.usage_in_bytes";
    std::optional<CgroupMemory> tightest;
    fs::path relative = fs::path(group.path).relative_path();
    while (true) {
        const fs::path folder = root / relative;
        const auto limit = number_in(folder / limit_file);
        const auto usage = number_in(folder / usage_file);
        if (limit.has_value() && usage.has_value() && *limit < machine_total) {
            Bytes droppable;
            if (const auto stat = read_file(folder / "memory.stat", kProcFileMax); stat.ok()) {
                const auto at = stat->find("inactive_file ");
                if (at != std::string::npos) {
                    std::int64_t count = 0;
                    const char* begin = stat->data() + at + 14;
                    std::from_chars(begin, stat->data() + stat->size(), count);
                    droppable = Bytes(count);
                }
            }
            const Bytes free = *limit - *usage + droppable;
            if (!tightest.has_value() || free < tightest->free) {
                tightest = CgroupMemory{.limit = *limit, .free = free};
            }
        }
        if (relative.empty()) {
            return tightest;
        }
        relative = relative.parent_path();
    }
}

}  // namespace

std::optional<Bytes> kilobyte_field(std::string_view text, std::string_view field) {
    std::size_t line = 0;
    while (line < text.size()) {
        const std::size_t end = std::min(text.find('\n', line), text.size());
        std::string_view row = text.substr(line, end - line);
        line = end + 1;
        if (row.substr(0, field.size()) == field && row.substr(field.size(), 1) == ":") {
            row.remove_prefix(field.size() + 1);
            row.remove_prefix(std::min(row.find_first_not_of(' '), row.size()));
            std::int64_t kilobytes = 0;
            const auto [rest, error] =
                std::from_chars(row.data(), row.data() + row.size(), kilobytes);
            if (error == std::errc()) {
                return Bytes(kilobytes * 1024);
            }
        }
    }
    return std::nullopt;
}

std::optional<CgroupPath> memory_cgroup(std::string_view proc_self_cgroup) {
    std::optional<CgroupPath> found;
    std::size_t line = 0;
    while (line < proc_self_cgroup.size()) {
        const std::size_t end =
            std::min(proc_self_cgroup.find('\n', line), proc_self_cgroup.size());
        const std::string_view row = proc_self_cgroup.substr(line, end - line);
        line = end + 1;
        const std::size_t first = row.find(':');
        const std::size_t second = row.find(':', first + 1);
        if (second == std::string_view::npos) {
            continue;
        }
        const std::string controllers =
            "," + std::string(row.substr(first + 1, second - first - 1)) + ",";
        const std::string path(row.substr(second + 1));
        if (controllers.find(",memory,") != std::string::npos) {
            return CgroupPath{.path = path, .v2 = false};
        }
        if (row.substr(0, first) == "0") {
            found = CgroupPath{.path = path, .v2 = true};
        }
    }
    return found;
}

Result<HostMemory> host_memory() {
    const auto text = read_file("/proc/meminfo", kProcFileMax);
    if (!text.ok()) {
        return text.error();
    }
    const auto total = kilobyte_field(*text, "MemTotal");
    const auto available = kilobyte_field(*text, "MemAvailable");
    if (!total.has_value() || !available.has_value()) {
        return Error{ErrorCode::io_error, "/proc/meminfo has no MemTotal or MemAvailable"};
    }
    HostMemory memory{.total = *total, .available = *available, .cgroup_limit = std::nullopt};
    const auto groups = read_file("/proc/self/cgroup", kProcFileMax);
    if (const auto group = groups.ok() ? memory_cgroup(*groups) : std::nullopt; group.has_value()) {
        if (const auto limited = cgroup_memory(*group, *total); limited.has_value()) {
            memory.cgroup_limit = limited->limit;
            memory.total = std::min(memory.total, limited->limit);
            memory.available = std::min(memory.available, limited->free);
        }
    }
    return memory;
}

Result<ProcessMemory> process_pss(pid_t pid) {
    const auto text = read_file("/proc/" + std::to_string(pid) + "/smaps_rollup", kProcFileMax);
    if (!text.ok()) {
        return text.error();
    }
    const auto total = kilobyte_field(*text, "Pss");
    const auto anonymous = kilobyte_field(*text, "Pss_Anon");
    if (!total.has_value()) {
        return Error{ErrorCode::not_found, "process " + std::to_string(pid) + " has ended"};
    }
    return ProcessMemory{.total = *total, .anonymous = anonymous.value_or(Bytes(0))};
}

pid_t own_pid() {
    return ::getpid();
}

}  // namespace drover::platform
