// What became of the requests since the server started. On the loop only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "gateway/request_log.hpp"

namespace drover::gateway {

/// How often something took how long.
struct TimeHistogram {
    /// Upper bounds, seconds; what takes longer is in the last count.
    static constexpr std::array kBounds{
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0};

    std::array<std::uint64_t, kBounds.size() + 1> counts{};
    double sum = 0;  ///< seconds

    void add(double seconds);
};

/// Requests that a model was asked for; an empty name stands for those that no model had to do
/// with.
class RequestCounts {
  public:
    struct OfModel {
        std::map<unsigned, std::uint64_t> by_status{};  ///< 0: the client left before there was one
        TimeHistogram wait{};                           ///< from the request's head to the lease
        TimeHistogram first_byte{};  ///< from the request's head to the answer's first byte
        TimeHistogram total{};
    };

    void add(const RequestRecord& record);
    const std::map<std::string, OfModel, std::less<>>& models() const { return models_; }

  private:
    std::map<std::string, OfModel, std::less<>> models_;
};

}  // namespace drover::gateway
