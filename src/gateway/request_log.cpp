#include "gateway/request_log.hpp"

#include <chrono>
#include <cstdint>

#include "platform/log.hpp"

namespace drover::gateway {

namespace log = platform::log;

namespace {

/// Milliseconds from `from` to `to`; -1 when `to` never came.
std::int64_t elapsed_ms(TimePoint from, TimePoint to) {
    if (to == TimePoint()) {
        return -1;
    }
    return std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
}

}  // namespace

void log_request(const RequestRecord& record) {
    const log::Level level = record.status >= 400 ? log::Level::info : log::Level::debug;
    if (!log::enabled(level)) {
        return;
    }
    log::write(level,
               "request",
               {{"method", record.method},
                {"path", record.path},
                {"model", record.model},
                {"route", record.route},
                {"reason", record.reason},
                {"status", record.status},
                {"wait_ms", elapsed_ms(record.began, record.leased)},
                {"first_byte_ms", elapsed_ms(record.began, record.first_byte)},
                {"total_ms", elapsed_ms(record.began, record.ended)}});
}

}  // namespace drover::gateway
