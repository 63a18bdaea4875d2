#include "config/parsers.hpp"

#include <array>

namespace drover::config {

Result<std::string> parse_cache_type(std::string_view text) {
    constexpr std::array<std::string_view, 9> kTypes{
        "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"};
    for (const std::string_view type : kTypes) {
        if (type == text) {
            return std::string(text);
        }
    }
    return Error{
        ErrorCode::invalid_argument,
        "'" + std::string(text) +
            "' is not a cache type; write f16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl, bf16 or f32"};
}

Result<std::string> parse_web_address(std::string_view text) {
    while (text.ends_with('/')) {
        text.remove_suffix(1);
    }
    if (!text.starts_with("https://") && !text.starts_with("http://")) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "' is not an address; write https://HOST"};
    }
    return std::string(text);
}

}  // namespace drover::config
