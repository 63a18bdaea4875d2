#include "snapshots/seal.hpp"

#include <cstring>

#include "snapshots/checksum.hpp"

namespace drover::snapshots {

namespace {

constexpr std::uint64_t kSealMagic = 0x31706E7372767244;  // "Drvrsnp1"

/// The bytes as they stand in the file. Only this machine reads them, so they have its byte order.
struct Image {
    std::uint64_t magic;
    std::uint64_t model;
    std::uint64_t binding;
    std::int64_t prefill_ns;
    std::uint64_t state_checksum;
    std::uint64_t own_checksum;  ///< of the members above
};
static_assert(sizeof(Image) == kSealSize);

std::uint64_t own_checksum(const Image& image) {
    return checksum({reinterpret_cast<const char*>(&image), sizeof(Image) - sizeof(std::uint64_t)});
}

}  // namespace

std::string to_bytes(const Seal& seal) {
    Image image{.magic = kSealMagic,
                .model = seal.model,
                .binding = seal.binding,
                .prefill_ns = seal.prefill.count(),
                .state_checksum = seal.state_checksum,
                .own_checksum = 0};
    image.own_checksum = own_checksum(image);
    return {reinterpret_cast<const char*>(&image), sizeof(Image)};
}

Result<Seal> read_seal(std::string_view file) {
    Image image{};
    if (file.size() >= kSealSize) {
        std::memcpy(&image, file.data() + file.size() - kSealSize, kSealSize);
    }
    if (image.magic != kSealMagic || image.own_checksum != own_checksum(image)) {
        return Error{ErrorCode::invalid_argument, "it was not written to its end, or is damaged"};
    }
    return Seal{.model = image.model,
                .binding = image.binding,
                .prefill = std::chrono::nanoseconds(image.prefill_ns),
                .state_checksum = image.state_checksum};
}

}  // namespace drover::snapshots
