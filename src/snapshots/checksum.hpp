// A fast 64-bit hash against damage, not against forgery. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace drover::snapshots {

/// Hash of `bytes`; `seed` makes unequal what must not be confused. Several GB/s: four independent
/// lanes of multiply and rotate, each lane a bijection of every word, so that one changed bit is
/// always seen.
std::uint64_t checksum(std::string_view bytes, std::uint64_t seed = 0);

/// A large content is read and hashed in pieces of this size, each seeded with the hash of those
/// before it, so that it need not be in memory as a whole.
inline constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

}  // namespace drover::snapshots
