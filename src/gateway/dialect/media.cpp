#include "gateway/dialect/media.hpp"

#include <algorithm>
#include <string>

#include "base/text.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// How the base64 of a kind of file begins.
struct Kind {
    std::string_view beginning;
    std::string_view type;
};

constexpr Kind kImages[] = {
    {"/9j/", "image/jpeg"},
    {"iVBORw0KGgo", "image/png"},
    {"R0lGOD", "image/gif"},
    {"Qk", "image/bmp"},
};

/// "RIFF" begins both; the kind stands eight bytes later.
constexpr std::string_view kRiff = "UklGR";
constexpr std::string_view kWave = "XQVZF";  // "WAVE" at this place, less its first bits
constexpr std::string_view kMp3[] = {"SUQz", "//v", "//P", "//M"};

bool is_base64(std::string_view text) {
    const std::size_t padding = text.size() - (text.find_last_not_of('=') + 1);
    const std::string_view digits = text.substr(0, text.size() - padding);
    return !digits.empty() && padding <= 2 && std::all_of(digits.begin(), digits.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '+' ||
               c == '/';
    });
}

bool is_wave(std::string_view base64) {
    // Bytes 8 to 11 of the file are "WAVE": characters 10 to 15 of the base64, of which the first
    // two bits belong to byte 7.
    return base64.starts_with(kRiff) && base64.size() > 16 && base64.substr(11, 5) == kWave;
}

json::object sound(std::string_view base64, std::string_view format) {
    return {{"type", "input_audio"},
            {"input_audio", json::object{{"data", base64}, {"format", format}}}};
}

json::object image(std::string url) {
    return {{"type", "image_url"}, {"image_url", json::object{{"url", std::move(url)}}}};
}

}  // namespace

Result<json::object> media_part(std::string_view base64) {
    if (base64.starts_with("data:")) {
        return image(std::string(base64));
    }
    if (!is_base64(base64)) {
        return Error{ErrorCode::invalid_argument, "must be base64"};
    }
    if (is_wave(base64)) {
        return sound(base64, "wav");
    }
    for (const std::string_view beginning : kMp3) {
        if (base64.starts_with(beginning)) {
            return sound(base64, "mp3");
        }
    }
    std::string_view type = "image/jpeg";  // the engine looks at the bytes itself
    for (const Kind& kind : kImages) {
        type = base64.starts_with(kind.beginning) ? kind.type : type;
    }
    return image("data:" + std::string(type) + ";base64," + std::string(base64));
}

}  // namespace drover::gateway::dialect
