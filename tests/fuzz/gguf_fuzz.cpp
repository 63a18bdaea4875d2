// Fuzzes the reader of GGUF headers, and what derives facts and sizes from them: any input must
// give a header, a wish for more bytes, or an error; and no fact may be large enough to overflow a
// size.
//
//   cmake --preset fuzz && cmake --build --preset fuzz
//   build/fuzz/tests/fuzz/gguf_seeds CORPUS && build/fuzz/tests/fuzz/gguf_fuzz -max_total_time=60
//   CORPUS

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>

#include "base/assert.hpp"
#include "memory/size_estimate.hpp"
#include "models/gguf.hpp"
#include "models/gguf_facts.hpp"

namespace {

using drover::operator""_GiB;
namespace memory = drover::memory;
namespace models = drover::models;

void check_sizes(const models::ModelFacts& facts) {
    memory::SizeSettings settings;
    settings.context = facts.context_length;
    settings.parallel = 256;
    settings.cpu.avx2 = true;
    DROVER_ASSERT(memory::estimate_size(facts, settings).total() >= facts.weights.total);
    (void)memory::largest_context_that_fits(facts, settings, 1_GiB);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
    // The tensors need not be there: let the file seem as long as any header could want.
    constexpr std::uint64_t kFileBytes = std::uint64_t{1} << 44;
    auto result = models::gguf::read_header(bytes, kFileBytes);
    if (!result.ok()) {
        return 0;
    }
    if (const auto* incomplete = std::get_if<models::gguf::Incomplete>(&*result)) {
        DROVER_ASSERT(incomplete->bytes_needed > size);
        return 0;
    }
    const models::FilePart part{std::get<models::gguf::Header>(std::move(result).value()),
                                kFileBytes};
    const auto facts = models::facts_from(std::span(&part, 1));
    if (facts.ok()) {
        check_sizes(*facts);
    }
    return 0;
}
