// Requests for models, in order: seeded synthetic workloads, and the Azure traces spread over
// models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace drover::bench {

/// One request.
struct Asked {
    TimePoint at;
    std::size_t model;
};
using Trace = std::vector<Asked>;

/// 13 models of 0.5 to 13.5 GB, 59.4 GB in all.
std::vector<Bytes> model_sizes();

/// Loading takes 0.2 s + size / 1 GB/s.
Duration load_time(Bytes size);

/// How requests choose their model.
enum class Traffic {
    zipf,      ///< each alone, exponent 0.9, ranks in seeded order
    sessions,  ///< three people, each stays with a model for 20 requests on average
    chains     ///< two agents, each runs one of four chains of 2 to 5 models; a tenth is noise
};

/// `count` requests, one in about 10 s.
Trace synthetic(Traffic traffic, std::uint64_t seed, std::size_t count);

/// How the two Azure services are spread over models.
enum class Spread {
    zipf,     ///< six code models and seven chat models, exponent 0.9 within each
    sessions  ///< the same, but each service stays with a model for 50 requests on average
};

/// Both traces of `folder` merged by time, every tenth request. Nullopt when they are not there.
std::optional<Trace> azure(const std::filesystem::path& folder, Spread spread, std::uint64_t seed);

}  // namespace drover::bench
