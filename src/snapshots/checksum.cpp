#include "snapshots/checksum.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace drover::snapshots {

namespace {

// Odd, so that multiplying by them is a bijection; bits without a pattern.
constexpr std::uint64_t kMultiply = 0x9E3779B185EBCA87;
constexpr std::uint64_t kMix = 0xC2B2AE3D27D4EB4F;
constexpr int kRotate = 31;

std::uint64_t word_at(const char* at, std::size_t count) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, count);
    return word;
}

std::uint64_t stir(std::uint64_t lane, std::uint64_t word) {
    return std::rotl(lane ^ (word * kMix), kRotate) * kMultiply;
}

}  // namespace

std::uint64_t checksum(std::string_view bytes, std::uint64_t seed) {
    constexpr std::size_t kWord = sizeof(std::uint64_t);
    std::array<std::uint64_t, 4> lanes{seed, seed + kMix, seed ^ kMultiply, seed - kMix};
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    while (left >= lanes.size() * kWord) {
        for (std::uint64_t& lane : lanes) {
            lane = stir(lane, word_at(at, kWord));
            at += kWord;
        }
        left -= lanes.size() * kWord;
    }
    std::uint64_t result = stir(seed, bytes.size());
    for (const std::uint64_t lane : lanes) {
        result = stir(result, lane);
    }
    while (left > 0) {
        const std::size_t count = left < kWord ? left : kWord;
        result = stir(result, word_at(at, count));
        at += count;
        left -= count;
    }
    result ^= result >> 33;
    result *= kMix;
    return result ^ (result >> 29);
}

}  // namespace drover::snapshots
