#include "gateway/dialect/ollama_embedding.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

Error garbage() {
    return {ErrorCode::engine_failed, "the engine's answer holds no embeddings"};
}

Result<std::vector<float>> read_vector(const json::value* numbers) {
    if (numbers == nullptr || !numbers->is_array()) {
        return garbage();
    }
    std::vector<float> vector;
    vector.reserve(numbers->get_array().size());
    for (const json::value& number : numbers->get_array()) {
        json::error_code failure;
        vector.push_back(static_cast<float>(number.to_number<double>(failure)));
        if (failure) {
            return garbage();
        }
    }
    return vector;
}

void append_vector(std::string& text, const std::vector<float>& vector) {
    text += '[';
    for (const float number : vector) {
        std::array<char, 32> digits;
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
        text += text.back() == '[' ? "" : ",";
        text.append(digits.data(), end);
    }
    text += ']';
}

void append_count(std::string& text, std::string_view name, std::int64_t count) {
    if (count > 0) {
        text.append(",\"").append(name).append("\":").append(std::to_string(count));
    }
}

}  // namespace

Result<Embeddings> read_embeddings(std::string_view body) {
    json::error_code failure;
    const json::value answer = json::parse(body, failure);
    const json::value* data = failure ? nullptr : member_of(&answer, "data");
    if (data == nullptr || !data->is_array()) {
        return garbage();
    }
    Embeddings embeddings;
    for (const json::value& one : data->get_array()) {
        auto vector = read_vector(member_of(&one, "embedding"));
        if (!vector.ok()) {
            return vector.error();
        }
        embeddings.vectors.push_back(*std::move(vector));
    }
    embeddings.prompt_tokens = static_cast<std::uint64_t>(
        std::max(number_of(member_of(&answer, "usage"), "prompt_tokens"), 0.0));
    return embeddings;
}

void scale(Embeddings& embeddings, std::size_t dimensions) {
    for (std::vector<float>& vector : embeddings.vectors) {
        if (dimensions > 0 && dimensions < vector.size()) {
            vector.resize(dimensions);
        }
        double sum = 0;
        for (const float number : vector) {
            sum += static_cast<double>(number) * static_cast<double>(number);
        }
        constexpr double kLengthMin = 1e-12;  // a vector of zeros stays one
        const double length = std::max(std::sqrt(sum), kLengthMin);
        for (float& number : vector) {
            number = static_cast<float>(static_cast<double>(number) / length);
        }
    }
}

std::string ollama_embed_answer(std::string_view model,
                                const Embeddings& embeddings,
                                std::chrono::nanoseconds total,
                                std::chrono::nanoseconds load) {
    std::string body = "{\"model\":" + json::serialize(json::value(model)) + ",\"embeddings\":[";
    for (const std::vector<float>& vector : embeddings.vectors) {
        body += body.back() == '[' ? "" : ",";
        append_vector(body, vector);
    }
    body += ']';
    append_count(body, "total_duration", total.count());
    append_count(body, "load_duration", load.count());
    append_count(body, "prompt_eval_count", static_cast<std::int64_t>(embeddings.prompt_tokens));
    return body + "}";
}

std::string ollama_embeddings_answer(const Embeddings& embeddings) {
    std::string body = "{\"embedding\":";
    append_vector(body,
                  embeddings.vectors.empty() ? std::vector<float>() : embeddings.vectors.front());
    return body + "}";
}

bool is_too_long(std::string_view complaint) {
    for (const std::string_view sign : {"too large",
                                        "exceeds the available context",
                                        "context size",
                                        "context length",
                                        "physical batch size"}) {
        if (complaint.find(sign) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

}  // namespace drover::gateway::dialect
