#include "control/budget_watch.hpp"

#include <algorithm>
#include <utility>

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "platform/memory_probe.hpp"

namespace drover::control {

namespace log = platform::log;

namespace {

/// Our own memory is charged in steps, so that small changes do not move the budget.
constexpr Bytes kOwnMemoryStep = 16_MiB;

struct Weighed {
    Bytes own{};
    std::optional<memory::HostSample> host{};
};

Weighed weigh(const std::vector<pid_t>& engines, bool whole_machine) {
    Weighed weighed;
    // The machine first: what an engine takes meanwhile then looks like ours, not like another's.
    const auto host = platform::host_memory();
    const auto own = platform::process_pss(platform::own_pid());
    if (!own.ok()) {
        return weighed;
    }
    weighed.own = own->total;
    if (whole_machine && host.ok()) {
        memory::HostSample sample{.available = host->available,
                                  .ours = own->total - own->file,
                                  .stalled = platform::memory_stall()};
        for (const pid_t engine : engines) {
            if (const auto memory = platform::group_pss(engine); memory.ok()) {
                sample.ours += memory->total - memory->file;
            }
        }
        weighed.host = sample;
    }
    return weighed;
}

}  // namespace

BudgetWatch::BudgetWatch(platform::BlockingPool& pool, Bytes budget, std::optional<Bytes> kept_free)
    : pool_(pool),
      gives_back_(kept_free.has_value()),
      pressure_(budget, kept_free.value_or(Bytes())) {}

void BudgetWatch::weigh_ourselves() {
    charge(weigh({}, false).own);
}

platform::Task<> BudgetWatch::review(std::vector<pid_t> engines, Bytes held) {
    const auto work = [engines = std::move(engines), whole_machine = gives_back_] {
        return weigh(engines, whole_machine);
    };
    Weighed weighed = co_await pool_.run(work);
    charge(weighed.own);
    if (!weighed.host.has_value()) {
        co_return;
    }
    weighed.host->held = held + own_;
    const Bytes before = pressure_.current();
    const Bytes current = pressure_.note(*weighed.host, platform::now());
    if (current != before) {
        log::info(current < before ? "memory.given_back" : "memory.taken_back",
                  {{"budget", drover::to_string(current)},
                   {"configured", drover::to_string(pressure_.budget())},
                   {"available", drover::to_string(weighed.host->available)},
                   {"stalled", weighed.host->stalled}});
    }
}

Bytes BudgetWatch::available() const {
    return pressure_.current() - own_;
}

void BudgetWatch::charge(Bytes own) {
    const std::int64_t step = kOwnMemoryStep.count();
    // One step of headroom: our memory may rise between two measurements.
    own_ = std::max(own_, Bytes((own.count() / step + 2) * step));
}

}  // namespace drover::control
