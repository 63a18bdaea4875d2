#include "gateway/dialect/short_embeddings.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <openssl/evp.h>

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// Little-endian floats, as OpenAI's clients read them. Empty when `text` is none.
std::vector<float> from_base64(const json::string& text) {
    std::vector<unsigned char> bytes(text.size() / 4 * 3);
    const int size = EVP_DecodeBlock(bytes.data(),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    std::vector<float> numbers(size < 0 ? 0 : static_cast<std::size_t>(size) / sizeof(float));
    std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(float));
    return numbers;
}

std::string to_base64(const std::vector<float>& numbers) {
    const std::size_t size = numbers.size() * sizeof(float);
    std::string text((size + 2) / 3 * 4 + 1, '\0');  // its end is written, too
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                    reinterpret_cast<const unsigned char*>(numbers.data()),
                    static_cast<int>(size));
    text.pop_back();
    return text;
}

std::vector<float> from_list(const json::array& list) {
    std::vector<float> numbers;
    numbers.reserve(list.size());
    for (const json::value& one : list) {
        json::error_code failed;
        numbers.push_back(static_cast<float>(one.to_number<double>(failed)));
        if (failed) {
            return {};
        }
    }
    return numbers;
}

void shorten(std::vector<float>& numbers, std::size_t dimensions) {
    numbers.resize(dimensions);
    double sum = 0;
    for (const float one : numbers) {
        sum += static_cast<double>(one) * static_cast<double>(one);
    }
    constexpr double kLengthMin = 1e-12;  // a vector of zeros stays one
    const double length = std::max(std::sqrt(sum), kLengthMin);
    for (float& one : numbers) {
        one = static_cast<float>(static_cast<double>(one) / length);
    }
}

}  // namespace

bool ShortEmbeddings::edit(json::object& answer) {
    json::value* data = answer.if_contains("data");
    if (data == nullptr || !data->is_array()) {
        return false;
    }
    bool changed = false;
    for (json::value& one : data->get_array()) {
        json::value* embedding =
            one.is_object() ? one.get_object().if_contains("embedding") : nullptr;
        if (embedding == nullptr || !(embedding->is_string() || embedding->is_array())) {
            continue;
        }
        const bool base64 = embedding->is_string();
        std::vector<float> numbers =
            base64 ? from_base64(embedding->get_string()) : from_list(embedding->get_array());
        if (numbers.size() <= dimensions_) {
            continue;
        }
        shorten(numbers, dimensions_);
        *embedding = base64 ? json::value(to_base64(numbers))
                            : json::value(json::array(numbers.begin(), numbers.end()));
        changed = true;
    }
    return changed;
}

}  // namespace drover::gateway::dialect
