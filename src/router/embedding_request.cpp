#include "router/embedding_request.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/assert.hpp"

namespace drover::router {

namespace json = boost::json;

namespace {

const json::array* array_member(const json::value& object, std::string_view name) {
    const json::value* found = object.is_object() ? object.get_object().if_contains(name) : nullptr;
    return found != nullptr ? found->if_array() : nullptr;
}

Error no_embedding(std::string_view why) {
    return Error{ErrorCode::engine_failed, "its answer has no embedding: " + std::string(why)};
}

Result<std::vector<float>> vector_of(const json::value& entry) {
    const json::array* numbers = array_member(entry, "embedding");
    if (numbers == nullptr || numbers->empty()) {
        return no_embedding("there is no list of numbers");
    }
    std::vector<float> vector;
    vector.reserve(numbers->size());
    for (const json::value& number : *numbers) {
        json::error_code failure;
        const double value = number.to_number<double>(failure);
        if (failure || !std::isfinite(value)) {
            return no_embedding("what should be a number is none");
        }
        vector.push_back(static_cast<float>(value));
    }
    return vector;
}

}  // namespace

std::string embedding_body(std::string_view model, std::span<const std::string_view> texts) {
    json::array input;
    for (const std::string_view text : texts) {
        input.emplace_back(excerpt(text, kEmbeddedBytes));
    }
    return json::serialize(json::object{{"model", model}, {"input", std::move(input)}});
}

Result<std::vector<std::vector<float>>> read_embeddings(const json::value& answer,
                                                        std::size_t count) {
    const json::array* data = array_member(answer, "data");
    if (data == nullptr || data->size() != count) {
        return no_embedding("not one for each text");
    }
    std::vector<std::vector<float>> vectors(count);
    for (const json::value& entry : *data) {
        json::error_code failure;
        const json::value* index =
            entry.is_object() ? entry.get_object().if_contains("index") : nullptr;
        const auto place = index == nullptr ? count : index->to_number<std::size_t>(failure);
        if (failure || place >= count || !vectors[place].empty()) {
            return no_embedding("its entries are not numbered");
        }
        auto vector = vector_of(entry);
        if (!vector.ok()) {
            return vector.error();
        }
        vectors[place] = *std::move(vector);
    }
    const bool alike = std::all_of(vectors.begin(), vectors.end(), [&](const auto& one) {
        return one.size() == vectors.front().size();
    });
    return alike ? Result<std::vector<std::vector<float>>>(std::move(vectors))
                 : no_embedding("its vectors differ in size");
}

Result<Prediction> read_opinion(const Classifier& classifier, std::string_view answer) {
    DROVER_ASSERT(classifier.embeds());
    json::error_code failure;
    const json::value document = json::parse(answer, failure);
    const auto vectors = read_embeddings(failure ? json::value() : document, 1);
    if (!vectors.ok()) {
        return vectors.error();
    }
    const std::vector<float>& vector = vectors->front();
    const EmbeddingFacts& facts = classifier.heads->facts();
    if (vector.size() != facts.size) {
        return Error{ErrorCode::engine_failed, "its vectors " + misfit(vector.size(), facts)};
    }
    Prediction prediction;
    prediction.probabilities = classifier.heads->opinion(vector);
    return prediction;
}

}  // namespace drover::router
