// What Prometheus reads. Pure; any thread.
#pragma once

#include <string>

#include "control/fleet.hpp"
#include "gateway/request_counts.hpp"

namespace drover::gateway {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

/// Memory, instances, conversations on disk and requests in Prometheus' text format, version 0.0.4.
/// Times are seconds, sizes bytes; docs/api.md lists the names.
std::string metrics(const control::FleetView& fleet, const RequestCounts& requests);

}  // namespace drover::gateway
