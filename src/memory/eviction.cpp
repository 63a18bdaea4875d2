#include "memory/eviction.hpp"

#include <algorithm>
#include <tuple>

namespace drover::memory {

double keep_value(const Candidate& candidate) {
    const double cost = std::chrono::duration<double>(candidate.load_time).count();
    const auto bytes =
        static_cast<double>(std::max<std::int64_t>(candidate.held.total().count(), 1));
    return candidate.usage * cost / bytes;
}

std::vector<InstanceId> choose_victims(std::vector<Candidate> candidates,
                                       const Footprint& missing) {
    const auto rank = [](const Candidate& candidate) {
        return std::tuple(
            candidate.priority, keep_value(candidate), candidate.last_used, candidate.instance);
    };
    std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
        return rank(a) < rank(b);
    });
    std::vector<Candidate> chosen;
    Footprint freed;
    for (const Candidate& candidate : candidates) {
        if (missing.fits(freed)) {
            break;
        }
        freed += candidate.held;
        chosen.push_back(candidate);
    }
    if (!missing.fits(freed)) {
        return {};
    }
    // A later, larger victim may make earlier small ones unnecessary: spare the most valuable of
    // them.
    std::vector<InstanceId> victims;
    for (auto candidate = chosen.rbegin(); candidate != chosen.rend(); ++candidate) {
        if (missing.fits(freed - candidate->held)) {
            freed -= candidate->held;
        } else {
            victims.push_back(candidate->instance);
        }
    }
    std::reverse(victims.begin(), victims.end());
    return victims;
}

}  // namespace drover::memory
