// Engines that sleep: they give back what they can without ending, and come back faster than they
// load. On the loop only.
#pragma once

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/supervisor.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// Longer than an engine that sleeps in this way needs to fall asleep.
Duration sleep_time_max(SleepWay way);

/// Lets a ready engine that serves nobody sleep, and returns when it does: its memory is back with
/// the system then. It answers its health checks meanwhile. Errors: `timeout` at the deadline,
/// `engine_failed` when it ended or refused. REQUIRES: `way` is one of its plan's; `supervisor`
/// stays until it returns.
platform::Task<Status> put_to_sleep(platform::Loop& loop,
                                    Supervisor& supervisor,
                                    SleepWay way,
                                    TimePoint deadline);

/// Wakes one that sleeps in this way, and returns when it can serve. Errors and requirements as
/// above.
platform::Task<Status> wake_up(platform::Loop& loop,
                               const Supervisor& supervisor,
                               SleepWay way,
                               TimePoint deadline);

}  // namespace drover::engines
