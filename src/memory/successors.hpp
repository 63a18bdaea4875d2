// Which model is usually asked for after which: agents and habits have an order. Pure; not
// thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/ids.hpp"

namespace drover::memory {

/// Counts visits (a request for another model than the one before it) by the model that was visited
/// before. Old habits fade: a model's counts are halved whenever they reach kMemory.
class Successors {
  public:
    static constexpr std::uint32_t kMemory = 32;
    /// A successor is expected when it came this often at least, and in this share of the cases.
    static constexpr std::uint32_t kSeenMin = 3;
    static constexpr double kShareMin = 0.6;

    /// A request for `model`. True when it begins a visit.
    bool note(ModelId model) {
        if (model == last_) {
            return false;
        }
        if (last_) {
            Row& row = rows_[last_];
            ++row.next[model];
            if (++row.all >= kMemory) {
                row.fade();
            }
        }
        last_ = model;
        return true;
    }

    /// Who will probably be asked for after `model`, if anybody.
    std::optional<ModelId> expected_after(ModelId model) const {
        const auto row = rows_.find(model);
        if (row == rows_.end()) {
            return std::nullopt;
        }
        const auto likeliest = std::max_element(
            row->second.next.begin(), row->second.next.end(), [](const auto& a, const auto& b) {
                return a.second != b.second ? a.second < b.second : b.first < a.first;
            });
        const bool expected =
            likeliest->second >= kSeenMin && likeliest->second >= kShareMin * row->second.all;
        return expected ? std::optional(likeliest->first) : std::nullopt;
    }

  private:
    struct Row {
        std::unordered_map<ModelId, std::uint32_t> next;
        std::uint32_t all = 0;

        void fade() {
            all = 0;
            for (auto& [model, count] : next) {
                count /= 2;
                all += count;
            }
            std::erase_if(next, [](const auto& one) { return one.second == 0; });
        }
    };

    std::unordered_map<ModelId, Row> rows_;
    ModelId last_{};
};

}  // namespace drover::memory
