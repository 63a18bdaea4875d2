// The models of a decision, asked one after the other until one answers. On the loop only.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "control/fleet.hpp"
#include "gateway/dialect/watched_answer.hpp"
#include "gateway/route_table.hpp"
#include "gateway/routing_log.hpp"

namespace drover::gateway {

/// Says whom to ask next and keeps account of what came of it. A model whose answer was judged weak
/// is asked once more, and not judged, when all the others have failed: a weak answer is better
/// than an error.
class RoutedTries {
  public:
    /// All of them outlive the tries.
    RoutedTries(const NamedRoute& route,
                const router::RequestFacts& facts,
                const Choice& choice,
                const control::Fleet& fleet)
        : route_(route),
          facts_(facts),
          choice_(choice),
          fleet_(fleet),
          reason_(choice.decision.reason) {}

    /// Goes on to the next model. False: none is left.
    bool next();

    // The model that is being asked. REQUIRES: next() returned true.
    ModelId model() const { return choice_.models[place_]; }
    router::Target target() const { return choice_.targets[place_]; }
    const std::string& name() const { return route_.policy.targets[target()]; }
    /// Its answer is to be judged.
    bool is_judged() const { return watched_.has_value(); }
    /// The same: in this way; null: it is not.
    dialect::WatchedAnswer* watched() { return watched_.has_value() ? &*watched_ : nullptr; }
    std::optional<std::chrono::milliseconds> verdict_within() const;

    // What came of it; `took` is the time since it was asked.
    void failed(ErrorCode code);
    void refused(unsigned status, bool too_long);
    void was_weak(std::chrono::milliseconds took);
    void served(std::chrono::milliseconds took);

    /// Why this model is asked, or why it was; one line.
    const std::string& reason() const { return reason_; }
    const std::vector<CheckedAnswer>& checks() const { return checks_; }

  private:
    void begin(bool checked);
    void note_check(std::chrono::milliseconds took);

    const NamedRoute& route_;
    const router::RequestFacts& facts_;
    const Choice& choice_;
    const control::Fleet& fleet_;
    std::string reason_;
    std::size_t place_ = 0;
    std::size_t next_ = 0;
    std::deque<std::size_t> again_;   ///< places whose answers were weak
    std::uint64_t too_long_for_ = 0;  ///< the longest context, if known, that did not suffice
    std::optional<dialect::WatchedAnswer> watched_;
    std::vector<CheckedAnswer> checks_;
};

}  // namespace drover::gateway
