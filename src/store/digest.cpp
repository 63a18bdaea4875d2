#include "store/digest.hpp"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace drover::store {

namespace {

constexpr std::string_view kAlgorithm = "sha256";
constexpr std::size_t kHexDigits = 64;

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
    const bool prefixed = text.size() == kAlgorithm.size() + 1 + kHexDigits &&
                          text.substr(0, kAlgorithm.size()) == kAlgorithm &&
                          (text[kAlgorithm.size()] == ':' || text[kAlgorithm.size()] == '-');
    const std::string hex = prefixed ? to_lower(text.substr(kAlgorithm.size() + 1)) : "";
    const bool valid = std::all_of(
        hex.begin(), hex.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
    if (!prefixed || !valid) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text.substr(0, 100)) +
                         "' is no digest; it is written sha256: and 64 hexadecimal digits"};
    }
    return Digest(hex);
}

struct Sha256::State {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    DROVER_ASSERT(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::put(std::string_view piece) {
    DROVER_ASSERT(EVP_DigestUpdate(state_->context.get(), piece.data(), piece.size()) == 1);
}

Digest Sha256::finish() {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    DROVER_ASSERT(EVP_DigestFinal_ex(state_->context.get(), bytes.data(), &size) == 1);
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
        hex += kHex[bytes.at(i) >> 4U];
        hex += kHex[bytes.at(i) & 0xFU];
    }
    return Digest(hex);
}

Digest digest_of(std::string_view text) {
    Sha256 sha;
    sha.put(text);
    return sha.finish();
}

}  // namespace drover::store
