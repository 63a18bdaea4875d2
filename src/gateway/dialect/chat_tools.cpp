#include "gateway/dialect/chat_tools.hpp"

#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

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
