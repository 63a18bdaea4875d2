#include "gateway/dialect/anthropic_request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/chat_parts.hpp"
#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// Of tokens, where a request that wants thoughts does not say: llama-server's.
constexpr double kThinkingBudget = 10'000;

void add_image(const json::value& block, json::array& parts, Problem& problem) {
    const json::value* source = member_of(&block, "source");
    const std::string_view kind = text_of(source, "type");
    std::string url;
    if (kind == "base64") {
        url = "data:" + std::string(text_of(source, "media_type")) + ";base64," +
              std::string(text_of(source, "data"));
    } else if (kind == "url") {
        url = text_of(source, "url");
    } else {
        return refuse(problem, "an image of source type '" + std::string(kind) + "' is not sent");
    }
    parts.emplace_back(
        json::object{{"type", "image_url"}, {"image_url", json::object{{"url", url}}}});
}

/// The text of a tool's result, or of a system prompt: one string or blocks of text.
std::string plain_text(const json::value* content) {
    if (content == nullptr) {
        return {};
    }
    if (const json::string* text = content->if_string()) {
        return std::string(view(*text));
    }
    std::string text;
    if (const json::array* blocks = content->if_array()) {
        for (const json::value& block : *blocks) {
            const std::string_view piece = text_of(&block, "text");
            text += (text.empty() || piece.empty() ? "" : "\n") + std::string(piece);
        }
    }
    return text;
}

json::object tool_call(const json::value& block) {
    const json::value* input = member_of(&block, "input");
    return {{"id", text_of(&block, "id")},
            {"type", "function"},
            {"function",
             json::object{{"name", text_of(&block, "name")},
                          {"arguments", input == nullptr ? "{}" : json::serialize(*input)}}}};
}

/// What one of Anthropic's messages becomes: results of tools stand in messages of their own.
class MessageTranslation {
  public:
    MessageTranslation(std::string_view role, json::array& messages, Problem& problem)
        : role_(role), messages_(messages), problem_(problem) {}

    void add(const json::value& block) {
        const std::string_view type = type_of(block);
        if (type == "text") {
            parts_.emplace_back(text_part(text_of(&block, "text")));
        } else if (type == "image") {
            add_image(block, parts_, problem_);
        } else if (type == "tool_use") {
            calls_.emplace_back(tool_call(block));
        } else if (type == "tool_result") {
            messages_.emplace_back(
                json::object{{"role", "tool"},
                             {"tool_call_id", text_of(&block, "tool_use_id")},
                             {"content", plain_text(member_of(&block, "content"))}});
        } else if (type == "thinking") {
            thought_ += text_of(&block, "thinking");
        } else if (type != "redacted_thinking") {
            refuse(problem_, "content of type '" + std::string(type) + "' is not sent");
        }
    }

    void finish() {
        if (parts_.empty() && calls_.empty() && thought_.empty()) {
            return;
        }
        json::object message{{"role", role_}};
        const bool one_text = parts_.size() == 1 && type_of(parts_[0]) == "text";
        if (parts_.empty()) {
            message["content"] = nullptr;
        } else if (one_text) {
            message["content"] = text_of(&parts_[0], "text");
        } else {
            message["content"] = std::move(parts_);
        }
        if (!calls_.empty()) {
            message["tool_calls"] = std::move(calls_);
        }
        if (!thought_.empty()) {
            message["reasoning_content"] = thought_;
        }
        messages_.emplace_back(std::move(message));
    }

  private:
    std::string_view role_;
    json::array& messages_;
    Problem& problem_;
    json::array parts_;
    json::array calls_;
    std::string thought_;
};

json::array messages_of(const FieldReader& fields, Problem& problem) {
    json::array messages;
    if (const std::string system = plain_text(fields.any("system")); !system.empty()) {
        messages.emplace_back(json::object{{"role", "system"}, {"content", system}});
    }
    const json::array* given = fields.array("messages");
    if (given == nullptr) {
        fields.complain("messages", "is missing");
        return messages;
    }
    for (const json::value& message : *given) {
        MessageTranslation translation(text_of(&message, "role"), messages, problem);
        const json::value* content = member_of(&message, "content");
        if (content != nullptr && content->is_array()) {
            for (const json::value& block : content->get_array()) {
                translation.add(block);
            }
        } else {
            translation.add(text_part(plain_text(content)));
        }
        translation.finish();
    }
    return messages;
}

json::array tools_of(const json::array& given, Problem& problem) {
    json::array tools;
    for (const json::value& tool : given) {
        const std::string_view type = type_of(tool);
        if (!type.empty() && type != "custom") {
            refuse(problem, "the tool '" + std::string(type) + "' is not offered");
            continue;
        }
        json::object function{{"name", text_of(&tool, "name")}};
        if (const std::string_view what = text_of(&tool, "description"); !what.empty()) {
            function["description"] = what;
        }
        if (const json::value* schema = member_of(&tool, "input_schema")) {
            function["parameters"] = *schema;
        }
        tools.emplace_back(json::object{{"type", "function"}, {"function", std::move(function)}});
    }
    return tools;
}

void put_tool_choice(const json::value& choice, json::object& body) {
    const std::string_view type = type_of(choice);
    if (type == "tool") {
        demand_tool(text_of(&choice, "name"), body);
    } else {
        body["tool_choice"] = type == "any" ? "required" : type == "none" ? "none" : "auto";
    }
    const json::value* serial = member_of(&choice, "disable_parallel_tool_use");
    if (serial != nullptr && serial->is_bool() && serial->get_bool()) {
        body["parallel_tool_calls"] = false;
    }
}

}  // namespace

Result<json::object> openai_chat_of_anthropic(const json::object& request) {
    Problem problem;
    const FieldReader fields(request, problem);
    json::object body{{"messages", messages_of(fields, problem)}};
    for (const auto& [theirs, ours] : {std::pair("max_tokens", "max_tokens"),
                                       std::pair("temperature", "temperature"),
                                       std::pair("top_p", "top_p"),
                                       std::pair("top_k", "top_k"),
                                       std::pair("chat_template_kwargs", "chat_template_kwargs"),
                                       std::pair("stop_sequences", "stop")}) {
        if (const json::value* value = fields.any(theirs)) {
            body[ours] = *value;
        }
    }
    const json::value* thinking = fields.any("thinking");
    if (text_of(thinking, "type") == "enabled") {
        body["thinking_budget_tokens"] =
            static_cast<std::int64_t>(number_of(thinking, "budget_tokens", kThinkingBudget));
    }
    if (fields.flag("stream").value_or(false)) {
        body["stream"] = true;
        body["stream_options"] = json::object{{"include_usage", true}};
    }
    if (const json::array* tools = fields.array("tools"); tools != nullptr && !tools->empty()) {
        body["tools"] = tools_of(*tools, problem);
        if (const json::value* choice = fields.any("tool_choice")) {
            put_tool_choice(*choice, body);
        }
    }
    if (problem.has_value()) {
        return *std::move(problem);
    }
    return body;
}

}  // namespace drover::gateway::dialect
