// What Drover writes behind the engine's state, so that a file tells what it belongs to and whether
// it is whole. The engine does not read that far. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::snapshots {

struct Seal {
    std::uint64_t model = 0;    ///< identity of the model's file
    std::uint64_t binding = 0;  ///< of everything else that the state depends on
    std::chrono::nanoseconds prefill{};
    std::uint64_t state_checksum = 0;  ///< of all bytes before the seal, in pieces
};

inline constexpr std::size_t kSealSize = 48;

/// The bytes to write behind the state.
std::string to_bytes(const Seal& seal);

/// The seal at the end of `file` (or in its last kSealSize bytes alone). `invalid_argument`: there
/// is none, or it is damaged. Says nothing of the state before it: that is for who reads it.
Result<Seal> read_seal(std::string_view file);

}  // namespace drover::snapshots
