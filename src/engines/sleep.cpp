#include "engines/sleep.hpp"

#include "base/assert.hpp"
#include "engines/llama_cpp_sleep.hpp"
#include "engines/vllm_sleep.hpp"

namespace drover::engines {

using platform::Task;

Duration sleep_time_max(SleepWay way) {
    switch (way) {
        case SleepWay::llama_cpp:
            return std::chrono::seconds(5);  // some hundredths of one are usual
        case SleepWay::vllm_light:
        case SleepWay::vllm_deep:
            return std::chrono::seconds(60);  // it copies all of its weights
    }
    DROVER_UNREACHABLE();
}

Task<Status> put_to_sleep(platform::Loop& loop,
                          Supervisor& supervisor,
                          SleepWay way,
                          TimePoint deadline) {
    switch (way) {
        case SleepWay::llama_cpp:
            co_return co_await put_llama_cpp_to_sleep(loop, supervisor, deadline);
        case SleepWay::vllm_light:
        case SleepWay::vllm_deep:
            co_return co_await put_vllm_to_sleep(loop, supervisor, way, deadline);
    }
    DROVER_UNREACHABLE();
}

Task<Status> wake_up(platform::Loop& loop,
                     const Supervisor& supervisor,
                     SleepWay way,
                     TimePoint deadline) {
    switch (way) {
        case SleepWay::llama_cpp:
            co_return co_await wake_llama_cpp(loop, supervisor, deadline);
        case SleepWay::vllm_light:
        case SleepWay::vllm_deep:
            co_return co_await wake_vllm(loop, supervisor, way, deadline);
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover::engines
