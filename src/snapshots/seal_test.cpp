#include "snapshots/seal.hpp"

#include <string>

#include <gtest/gtest.h>

#include "snapshots/checksum.hpp"

namespace drover::snapshots {
namespace {

std::string sealed(const std::string& state) {
    return state + to_bytes({.model = 3,
                             .binding = 4,
                             .prefill = std::chrono::milliseconds(5),
                             .state_checksum = checksum(state)});
}

TEST(Seal, TellsWhatItWasMadeOf) {
    const auto seal = read_seal(sealed("state"));
    ASSERT_TRUE(seal.ok());
    EXPECT_EQ(seal->model, 3U);
    EXPECT_EQ(seal->binding, 4U);
    EXPECT_EQ(seal->prefill, std::chrono::milliseconds(5));
    EXPECT_EQ(seal->state_checksum, checksum("state"));
}

TEST(Seal, SeesItsOwnDamage) {
    const std::string whole = sealed("state");
    for (std::size_t i = whole.size() - kSealSize; i < whole.size(); ++i) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] + 1);
        EXPECT_FALSE(read_seal(damaged).ok()) << "byte " << i;
        EXPECT_FALSE(read_seal(whole.substr(0, i)).ok()) << "cut at " << i;
    }
}

}  // namespace
}  // namespace drover::snapshots
