#include "snapshots/checksum.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace drover::snapshots {
namespace {

TEST(Checksum, SeesEveryChangedBit) {
    std::string bytes(100, 'x');
    std::set<std::uint64_t> seen{checksum(bytes)};
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        std::string changed = bytes;
        changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
        EXPECT_TRUE(seen.insert(checksum(changed)).second) << "bit " << i;
    }
}

TEST(Checksum, SeesLengthAndSeed) {
    std::set<std::uint64_t> seen;
    for (std::size_t length = 0; length < 100; ++length) {
        EXPECT_TRUE(seen.insert(checksum(std::string(length, '\0'))).second) << length;
        EXPECT_TRUE(seen.insert(checksum(std::string(length, '\0'), 1)).second) << length;
    }
}

}  // namespace
}  // namespace drover::snapshots
