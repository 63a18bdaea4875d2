#include "gateway/dialect/engine_answer.hpp"

#include <cstddef>
#include <utility>

#include <boost/json/object.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

const json::array* array_of(const json::value* value, std::string_view name) {
    const json::value* found = member_of(value, name);
    return found != nullptr ? found->if_array() : nullptr;
}

/// {"text": log-probability} as a list.
json::array listed(const json::value& best) {
    json::array list;
    if (const json::object* object = best.if_object()) {
        for (const auto& [token, logprob] : *object) {
            list.emplace_back(json::object{{"token", token}, {"logprob", logprob}});
        }
    }
    return list;
}

/// `tokens`, `token_logprobs` and `top_logprobs`, each with an entry for each token.
json::array from_lists(const json::value* logprobs) {
    json::array found;
    const json::array* tokens = array_of(logprobs, "tokens");
    const json::array* odds = array_of(logprobs, "token_logprobs");
    const json::array* best = array_of(logprobs, "top_logprobs");
    if (tokens == nullptr || odds == nullptr) {
        return found;
    }
    for (std::size_t i = 0; i < tokens->size() && i < odds->size(); ++i) {
        if (!(*odds)[i].is_number()) {
            continue;  // the first token of an echoed prompt has none
        }
        json::object token{{"token", (*tokens)[i]}, {"logprob", (*odds)[i]}};
        if (best != nullptr && i < best->size()) {
            token["top_logprobs"] = listed((*best)[i]);
        }
        found.emplace_back(std::move(token));
    }
    return found;
}

}  // namespace

std::string_view thought_of(const json::value* message) {
    const std::string_view thought = text_of(message, "reasoning_content");
    return thought.empty() ? text_of(message, "reasoning") : thought;
}

json::array token_logprobs(const json::value& choice) {
    const json::value* logprobs = member_of(&choice, "logprobs");
    if (const json::array* content = array_of(logprobs, "content")) {
        return *content;
    }
    if (const json::array* content = array_of(&choice, "completion_probabilities")) {
        return *content;
    }
    return from_lists(logprobs);
}

}  // namespace drover::gateway::dialect
