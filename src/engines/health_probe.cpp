#include "engines/health_probe.hpp"

#include <utility>

#include "engines/http_call.hpp"

namespace drover::engines {

platform::Task<bool> is_healthy(platform::Loop& loop,
                                const Endpoint& endpoint,
                                std::string path,
                                TimePoint deadline) {
    constexpr unsigned kOk = 200;
    HttpQuestion question{.path = std::move(path)};
    const auto answer = co_await http_call(loop, endpoint, std::move(question), deadline);
    co_return answer.ok() && answer->status == kOk;
}

}  // namespace drover::engines
