// SHA-256 of blobs: as a name and as a computation. Any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::store {

/// The name of a blob, always 64 lower-case hexadecimal digits, so that it can be a file name.
class Digest {
  public:
    /// Reads "sha256:HEX" or "sha256-HEX". `invalid_argument` otherwise.
    static Result<Digest> parse(std::string_view text);

    const std::string& hex() const { return hex_; }
    /// "sha256:HEX", as in manifests.
    std::string to_string() const { return "sha256:" + hex_; }
    /// "sha256-HEX", as Ollama calls the file.
    std::string file_name() const { return "sha256-" + hex_; }

    auto operator<=>(const Digest&) const = default;

  private:
    friend class Sha256;
    explicit Digest(std::string hex) : hex_(std::move(hex)) {}

    std::string hex_;
};

/// Computes a digest piece by piece.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void put(std::string_view piece);
    /// Ends the computation; nothing may be put afterwards.
    Digest finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

Digest digest_of(std::string_view text);

}  // namespace drover::store
