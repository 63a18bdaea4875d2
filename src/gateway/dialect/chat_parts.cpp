#include "gateway/dialect/chat_parts.hpp"

#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace drover::gateway::dialect {

namespace json = boost::json;

json::object text_part(std::string_view text) {
    return {{"type", "text"}, {"text", text}};
}

void refuse(Problem& problem, const std::string& what) {
    if (!problem.has_value()) {
        problem = invalid(what + ": a chat completion of OpenAI's API has nothing like it");
    }
}

const json::value* choice_of(const json::value& answer) {
    const json::value* choices = member_of(&answer, "choices");
    return choices != nullptr && choices->is_array() && !choices->get_array().empty()
               ? &choices->get_array().front()
               : nullptr;
}

void demand_tool(std::string_view name, json::object& body) {
    const json::value* tools = body.if_contains("tools");
    json::array chosen;
    if (tools != nullptr && tools->is_array()) {
        for (const json::value& tool : tools->get_array()) {
            if (text_of(member_of(&tool, "function"), "name") == name) {
                chosen.push_back(tool);
            }
        }
    }
    if (!chosen.empty()) {
        body["tools"] = std::move(chosen);
    }
    body["tool_choice"] = "required";
}

}  // namespace drover::gateway::dialect
