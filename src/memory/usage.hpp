// How often a model is asked for, lately. Pure; any thread.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace drover::memory {

/// Counts visits over all models: a visit begins with a request for another model than the one
/// before it. What a client asks in a row of one model says nothing about who should leave, and a
/// clock of visits runs alike on busy and on quiet machines.
using Visit = std::uint64_t;

/// Exponentially decaying counts of a model's visits, from short to long memories: an estimate of
/// how soon the next one comes.
class Usage {
  public:
    /// Visits after which an old one counts 1/e. Conversations change within a few visits, habits
    /// within hundreds.
    static constexpr std::array<double, 4> kMemories = {4, 8, 64, 512};

    /// A visit was made. REQUIRES: visits never go back.
    void note(Visit visit) {
        for (std::size_t memory = 0; memory < kMemories.size(); ++memory) {
            counts_[memory] = at(memory, visit) + 1;
        }
        last_visit_ = visit;
    }

    Visit last_visit() const { return last_visit_; }

    /// Visits within about the last kMemories[memory], older ones counting less.
    double at(std::size_t memory, Visit visit) const {
        const auto since = static_cast<double>(visit - last_visit_);
        return counts_[memory] * std::exp(-since / kMemories[memory]);
    }

    /// The logarithm of at(memory, v), plus v / kMemories[memory]: all counts decay alike, so two
    /// models compare by rank in the same way for ever. Minus infinity when there was no visit.
    double rank(std::size_t memory) const {
        return std::log(counts_[memory]) + static_cast<double>(last_visit_) / kMemories[memory];
    }

  private:
    std::array<double, kMemories.size()> counts_{};
    Visit last_visit_ = 0;
};

}  // namespace drover::memory
