#include "platform/log.hpp"

#include <array>
#include <cstdio>
#include <memory>

#include <spdlog/fmt/fmt.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/assert.hpp"

namespace drover::platform::log {

namespace {

spdlog::level::level_enum native(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    DROVER_UNREACHABLE();
}

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, Level level) {
    auto logger = std::make_shared<spdlog::logger>("drover", std::move(sink));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    logger->set_level(native(level));
    logger->flush_on(spdlog::level::debug);
    return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
    static std::shared_ptr<spdlog::logger> instance =
        make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), Level::info);
    return instance;
}

}  // namespace

std::string Field::short_text(double number) {
    return fmt::format("{:.3f}", number);
}

Status configure(Level level, const std::filesystem::path& file) {
    try {
        if (file.empty()) {
            logger() = make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), level);
        } else {
            logger() = make_logger(
                std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()), level);
        }
    } catch (const spdlog::spdlog_ex& error) {
        return Error{ErrorCode::io_error, error.what()};
    }
    return {};
}

Result<Level> parse_level(std::string_view text) {
    constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warn", "error"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == text) {
            return static_cast<Level>(i);
        }
    }
    return Error{
        ErrorCode::invalid_argument,
        "'" + std::string(text) + "' is not a log level; write debug, info, warn or error"};
}

bool enabled(Level level) noexcept {
    return logger()->should_log(native(level));
}

void write(Level level, std::string_view event, Fields fields) noexcept {
    if (!enabled(level)) {
        return;
    }
    try {
        std::string line(event);
        for (const Field& field : fields) {
            line += ' ';
            line += field.key;
            line += '=';
            line += escaped(field.value);
        }
        logger()->log(native(level), "{}", line);
    } catch (const std::exception&) {
        // Out of memory: a line is lost, which is better than what the caller was doing.
        return;
    }
}

std::string escaped(std::string_view text) {
    std::string out;
    bool plain = !text.empty();
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
            plain = false;
        } else if (c == '\n') {
            out += "\\n";
            plain = false;
        } else if (byte < 0x20 || byte == 0x7f) {
            std::array<char, 8> code{};
            std::snprintf(code.data(), code.size(), "\\x%02x", byte);
            out += code.data();
            plain = false;
        } else {
            plain = plain && c != ' ' && c != '=';
            out += c;
        }
    }
    return plain ? out : '"' + out + '"';
}

}  // namespace drover::platform::log
