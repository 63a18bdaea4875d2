#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/units.hpp"
#include "platform/files.hpp"
#include "platform/process_group.hpp"

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

constexpr Bytes kStatMax = 16_KiB;

/// The number at the beginning of `text`, which moves behind it and one space.
std::optional<pid_t> take_number(std::string_view& text) {
    pid_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    if (!text.empty()) {
        text.remove_prefix(1);
    }
    return value;
}

bool lives(char state) {
    return state != 'Z' && state != 'X';
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
    const auto pid = take_number(text);
    const std::size_t name_end = text.rfind(')');
    if (!pid.has_value() || name_end == std::string_view::npos || text.size() < name_end + 5) {
        return std::nullopt;
    }
    const char state = text[name_end + 2];
    text.remove_prefix(name_end + 4);
    const auto parent = take_number(text);
    const auto group = take_number(text);
    if (!parent.has_value() || !group.has_value()) {
        return std::nullopt;
    }
    return ProcessStat{.pid = *pid, .state = state, .group = *group};
}

std::vector<pid_t> group_members(pid_t group) {
    std::vector<pid_t> members;
    std::error_code error;
    for (fs::directory_iterator entry("/proc", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename();
        if (name.front() < '0' || name.front() > '9') {
            continue;
        }
        const auto text = read_file(entry->path() / "stat", kStatMax);
        const auto stat = text.ok() ? parse_process_stat(*text) : std::nullopt;
        if (stat.has_value() && stat->group == group && lives(stat->state)) {
            members.push_back(stat->pid);
        }
    }
    return members;
}

}  // namespace drover::platform
