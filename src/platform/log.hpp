// The log: an event's name and its fields, one line each. Any thread. Never throws, never given
// keys or the content of requests.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace drover::platform::log {

enum class Level {
    debug,
    info,
    warn,
    error
};

/// One `key=value`.
struct Field {
    template <std::integral Number>
    Field(std::string_view name, Number number) : key(name), value(std::to_string(number)) {}
    template <std::floating_point Number>
    Field(std::string_view name, Number number) : key(name), value(short_text(number)) {}
    Field(std::string_view name, bool flag) : key(name), value(flag ? "true" : "false") {}
    Field(std::string_view name, std::string_view text) : key(name), value(text) {}
    Field(std::string_view name, const char* text) : key(name), value(text) {}
    Field(std::string_view name, const std::string& text) : key(name), value(text) {}

    std::string_view key;
    std::string value;

  private:
    /// Three digits after the point.
    static std::string short_text(double number);
};

using Fields = std::initializer_list<Field>;

/// Where lines go from now on; before this: standard error, level info. `io_error` when `file`
/// cannot be opened. An empty `file` is standard error. Not while another thread may log.
Status configure(Level level, const std::filesystem::path& file);

/// "debug", "info", "warn" or "error".
Result<Level> parse_level(std::string_view text);

bool enabled(Level level) noexcept;
void write(Level level, std::string_view event, Fields fields) noexcept;

inline void debug(std::string_view event, Fields fields = {}) {
    write(Level::debug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) {
    write(Level::info, event, fields);
}
inline void warn(std::string_view event, Fields fields = {}) {
    write(Level::warn, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
    write(Level::error, event, fields);
}

/// `text` as a log value: quoted when it has spaces, control characters escaped.
std::string escaped(std::string_view text);

}  // namespace drover::platform::log
