// One number for everything that was said between the world and the scheduler. FNV-1a, 64 bit.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "memory/effects.hpp"
#include "memory/events.hpp"

namespace drover::sim {

class EventHash {
  public:
    std::uint64_t value() const { return value_; }

    /// Each kind of event and effect counts by its place in the variant and by what it says.
    template <typename... Kinds>
    void add(const std::variant<Kinds...>& one) {
        add(one.index());
        std::visit([this](const auto& kind) { add(kind); }, one);
    }
    void add(TimePoint at) { add(at.time_since_epoch()); }

  private:
    static constexpr std::uint64_t kStart = 0xcbf29ce484222325U;
    static constexpr std::uint64_t kPrime = 0x100000001b3U;

    void add(std::uint64_t number) {
        for (int byte = 0; byte < 8; ++byte) {
            value_ = (value_ ^ ((number >> (8 * byte)) & 0xff)) * kPrime;
        }
    }
    void add(Duration duration) { add(static_cast<std::uint64_t>(duration.count())); }
    template <typename Tag>
    void add(Id<Tag> id) {
        add(id.value);
    }
    template <typename Value>
    void add(const std::optional<Value>& value) {
        add(std::uint64_t{value.has_value()});
        if (value.has_value()) {
            add(*value);
        }
    }
    void add(const memory::Footprint& footprint) {
        add(static_cast<std::uint64_t>(footprint[0].count()));
        add(static_cast<std::uint64_t>(footprint.total().count()));
    }

    void add(const memory::ModelDeclared& event) {
        add(event.model);
        for (const memory::Placement& placement : event.traits.placements) {
            add(placement.footprint);
        }
    }
    void add(const memory::RequestArrived& event) {
        add(event.request);
        add(event.model);
        add(event.keep_alive);
    }
    void add(const memory::RequestCancelled& event) { add(event.request); }
    void add(const memory::LeaseEnded& event) { add(event.request); }
    void add(const memory::InstanceReady& event) {
        add(event.instance);
        add(event.measured);
    }
    void add(const memory::InstanceAsleep& event) {
        add(event.instance);
        add(event.measured);
    }
    void add(const memory::InstanceMeasured& event) {
        add(event.instance);
        add(event.measured);
    }
    void add(const memory::InstanceGone& event) { add(event.instance); }
    void add(const memory::LoadRequested& event) { add(event.model); }
    void add(const memory::UnloadRequested& event) { add(event.model); }
    void add(const memory::BudgetChanged& event) { add(event.budget); }
    void add(const memory::TimerFired&) {}
    void add(const memory::DrainStarted&) {}

    void add(const memory::StartInstance& effect) {
        add(effect.instance);
        add(effect.model);
        add(effect.reserved);
        add(std::uint64_t{effect.placement});
    }
    void add(const memory::StopInstance& effect) {
        add(effect.instance);
        add(static_cast<std::uint64_t>(effect.reason));
    }
    void add(const memory::SleepInstance& effect) {
        add(effect.instance);
        add(effect.reserved);
        add(std::uint64_t{effect.way});
    }
    void add(const memory::WakeInstance& effect) {
        add(effect.instance);
        add(effect.model);
        add(effect.reserved);
    }
    void add(const memory::GrantLease& effect) {
        add(effect.request);
        add(effect.instance);
    }
    void add(const memory::RefuseRequest& effect) {
        add(effect.request);
        add(static_cast<std::uint64_t>(effect.reason));
        add(effect.retry_after);
    }
    void add(const memory::WakeAt& effect) { add(effect.at); }

    std::uint64_t value_ = kStart;
};

}  // namespace drover::sim
