#include "gateway/dialect/ollama_recipe.hpp"

#include <algorithm>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

json::value parsed(const std::string& text) {
    boost::system::error_code error;
    json::value value = text.empty() ? json::value(nullptr) : json::parse(text, error);
    return error ? json::value(nullptr) : std::move(value);
}

bool has_system(const json::array& messages) {
    return std::any_of(messages.begin(), messages.end(), [](const json::value& one) {
        return text_of(&one, "role") == "system";
    });
}

void apply_parameters(json::object& request, const std::string& text) {
    const json::value parameters = parsed(text);
    if (!parameters.is_object()) {
        return;
    }
    json::value& options = request["options"];
    if (options.is_null()) {
        options = json::object();
    }
    if (!options.is_object()) {
        return;  // the reader of the request says what is wrong
    }
    for (const auto& [name, value] : parameters.get_object()) {
        options.get_object().emplace(name, value);  // the client's own stay
    }
}

void apply_to_chat(json::object& request, const models::Recipe& recipe) {
    json::value* messages = request.if_contains("messages");
    if (messages == nullptr || !messages->is_array() || messages->get_array().empty()) {
        return;  // nothing is asked: the model is only loaded
    }
    json::array whole;
    if (!recipe.system.empty() && !has_system(messages->get_array())) {
        whole.emplace_back(json::object{{"role", "system"}, {"content", recipe.system}});
    }
    if (const json::value first = parsed(recipe.messages); first.is_array()) {
        whole.insert(whole.end(), first.get_array().begin(), first.get_array().end());
    }
    whole.insert(whole.end(), messages->get_array().begin(), messages->get_array().end());
    *messages = std::move(whole);
}

}  // namespace

void apply_recipe(json::object& request, OllamaCall call, const models::Recipe& recipe) {
    if (call == OllamaCall::chat) {
        apply_to_chat(request, recipe);
    } else if (call == OllamaCall::generate && !recipe.system.empty()) {
        const json::value* raw = request.if_contains("raw");
        if (raw == nullptr || !raw->is_bool() || !raw->get_bool()) {
            request.emplace("system", recipe.system);
        }
    }
    apply_parameters(request, recipe.parameters);
}

}  // namespace drover::gateway::dialect
