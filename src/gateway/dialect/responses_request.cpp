#include "gateway/dialect/responses_request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/chat_parts.hpp"
#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// Members of a request for a response that a chat completion does not have, or has otherwise.
constexpr std::string_view kOwnMembers[] = {"background",
                                            "conversation",
                                            "include",
                                            "input",
                                            "instructions",
                                            "max_output_tokens",
                                            "metadata",
                                            "previous_response_id",
                                            "prompt",
                                            "reasoning",
                                            "store",
                                            "stream_options",
                                            "text",
                                            "tool_choice",
                                            "tools",
                                            "top_logprobs",
                                            "truncation"};

/// Strings stay; of parts the texts and images are kept.
json::value content_of(const json::value* content, Problem& problem) {
    if (content == nullptr || !content->is_array()) {
        return content == nullptr ? json::value("") : *content;
    }
    json::array parts;
    for (const json::value& part : content->get_array()) {
        const std::string_view type = type_of(part);
        if (type == "input_text" || type == "output_text" || type == "text") {
            parts.emplace_back(text_part(text_of(&part, "text")));
        } else if (type == "refusal") {
            parts.emplace_back(text_part(text_of(&part, "refusal")));
        } else if (type == "input_image" && !text_of(&part, "image_url").empty()) {
            parts.emplace_back(
                json::object{{"type", "image_url"},
                             {"image_url", json::object{{"url", text_of(&part, "image_url")}}}});
        } else {
            refuse(problem, "content of type '" + std::string(type) + "'");
        }
    }
    return parts;
}

/// The items of a conversation one after the other. What the assistant thought, said and called
/// in a row is one message.
class Conversation {
  public:
    explicit Conversation(Problem& problem) : problem_(problem) {}

    void add(const json::value& item) {
        const std::string_view type = type_of(item);
        const std::string_view role = text_of(&item, "role");
        if (type == "function_call") {
            add_call(item);
        } else if (type == "function_call_output") {
            messages_.emplace_back(
                json::object{{"role", "tool"},
                             {"tool_call_id", text_of(&item, "call_id")},
                             {"content", content_of(member_of(&item, "output"), problem_)}});
        } else if (type == "reasoning") {
            add_thought(item);
        } else if ((type.empty() || type == "message") && !role.empty()) {
            add_message(item, role);
        } else {
            refuse(problem_, "input of type '" + std::string(type) + "'");
        }
    }

    void add_text(std::string_view role, std::string_view text) {
        messages_.emplace_back(json::object{{"role", role}, {"content", text}});
    }

    json::array take() { return std::move(messages_); }

  private:
    void add_message(const json::value& item, std::string_view role) {
        json::value content = content_of(member_of(&item, "content"), problem_);
        if (role == "assistant" && last_is_assistant() &&
            !messages_.back().get_object().contains("content")) {
            messages_.back().get_object()["content"] = std::move(content);
        } else {
            messages_.emplace_back(json::object{{"role", role}, {"content", std::move(content)}});
        }
    }

    void add_call(const json::value& item) {
        json::object& message = assistant();
        if (!message.contains("tool_calls")) {
            message["tool_calls"] = json::array();
        }
        message["tool_calls"].get_array().emplace_back(
            json::object{{"id", text_of(&item, "call_id")},
                         {"type", "function"},
                         {"function",
                          json::object{{"name", text_of(&item, "name")},
                                       {"arguments", text_of(&item, "arguments")}}}});
    }

    void add_thought(const json::value& item) {
        const json::value* content = member_of(&item, "content");
        if (content != nullptr && content->is_array() && !content->get_array().empty()) {
            assistant()["reasoning_content"] = text_of(&content->get_array().front(), "text");
        }
    }

    bool last_is_assistant() const {
        return !messages_.empty() && text_of(&messages_.back(), "role") == "assistant";
    }

    json::object& assistant() {
        if (!last_is_assistant()) {
            messages_.emplace_back(json::object{{"role", "assistant"}});
        }
        return messages_.back().get_object();
    }

    json::array messages_;
    Problem& problem_;
};

json::array input_messages_of(const FieldReader& fields, Problem& problem) {
    Conversation conversation(problem);
    if (const auto instructions = fields.text("instructions")) {
        conversation.add_text("system", *instructions);
    }
    const json::value* input = fields.any("input");
    if (input != nullptr && input->is_string()) {
        conversation.add_text("user", view(input->get_string()));
    } else if (const json::array* items = fields.array("input")) {
        for (const json::value& item : *items) {
            conversation.add(item);
        }
    } else {
        fields.complain("input", "is missing");
    }
    return conversation.take();
}

json::array tools_of(const json::array& given) {
    json::array tools;
    for (const json::value& tool : given) {
        if (type_of(tool) == "function") {
            json::object function = tool.get_object();
            function.erase("type");
            tools.emplace_back(
                json::object{{"type", "function"}, {"function", std::move(function)}});
        }
    }
    return tools;
}

void put_tools(const FieldReader& fields, json::object& body) {
    const json::array* given = fields.array("tools");
    json::array tools = given == nullptr ? json::array() : tools_of(*given);
    if (tools.empty()) {
        return;
    }
    body["tools"] = std::move(tools);
    const json::value* choice = fields.any("tool_choice");
    if (choice != nullptr && choice->is_string()) {
        body["tool_choice"] = *choice;
    } else if (const std::string_view name = text_of(choice, "name"); !name.empty()) {
        demand_tool(name, body);
    }
}

/// text.format has the schema and its name side by side.
void put_format(const json::object* text, json::object& body) {
    const json::value* format = text == nullptr ? nullptr : text->if_contains("format");
    const std::string_view type = text_of(format, "type");
    if (type == "json_object") {
        body["response_format"] = *format;
    } else if (type == "json_schema") {
        json::object schema = format->get_object();
        schema.erase("type");
        body["response_format"] =
            json::object{{"type", "json_schema"}, {"json_schema", std::move(schema)}};
    }
}

}  // namespace

Result<json::object> openai_chat_of_responses(const json::object& request) {
    Problem problem;
    const FieldReader fields(request, problem);
    if (!fields.text("previous_response_id").value_or("").empty()) {
        refuse(problem, "previous_response_id");
    }
    json::object body = request;
    for (const std::string_view name : kOwnMembers) {
        body.erase(name);
    }
    body["messages"] = input_messages_of(fields, problem);
    put_tools(fields, body);
    put_format(fields.object("text"), body);
    if (const json::value* limit = fields.any("max_output_tokens")) {
        body["max_tokens"] = *limit;
    }
    const json::object* reasoning = fields.object("reasoning");
    if (const json::value* effort =
            reasoning == nullptr ? nullptr : reasoning->if_contains("effort");
        effort != nullptr && effort->is_string()) {
        body["reasoning_effort"] = *effort;
    }
    if (fields.flag("stream").value_or(false)) {
        body["stream_options"] = json::object{{"include_usage", true}};
    }
    if (problem.has_value()) {
        return *std::move(problem);
    }
    return body;
}

}  // namespace drover::gateway::dialect
