#include "gateway/request_counts.hpp"

#include <algorithm>
#include <chrono>

namespace drover::gateway {

void TimeHistogram::add(double seconds) {
    const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
    ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
    sum += seconds;
}

void RequestCounts::add(const RequestRecord& record) {
    auto found = models_.find(record.model);
    if (found == models_.end()) {
        found = models_.try_emplace(std::string(record.model)).first;
    }
    OfModel& model = found->second;
    ++model.by_status[record.status];
    const auto note = [&](TimeHistogram& times, TimePoint at) {
        if (at != TimePoint()) {
            times.add(std::chrono::duration<double>(at - record.began).count());
        }
    };
    note(model.wait, record.leased);
    note(model.first_byte, record.first_byte);
    note(model.total, record.ended);
}

}  // namespace drover::gateway
