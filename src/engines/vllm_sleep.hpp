// vLLM's sleep mode (--enable-sleep-mode, VLLM_SERVER_DEV_MODE), of GPUs only. On the loop only.
#pragma once

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/supervisor.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// put_to_sleep() for such an engine.
platform::Task<Status> put_vllm_to_sleep(platform::Loop& loop,
                                         Supervisor& supervisor,
                                         SleepWay way,
                                         TimePoint deadline);

/// wake_up() for such an engine.
platform::Task<Status> wake_vllm(platform::Loop& loop,
                                 const Supervisor& supervisor,
                                 SleepWay way,
                                 TimePoint deadline);

}  // namespace drover::engines
