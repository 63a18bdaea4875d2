#include "gateway/dialect/responses_answer.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

constexpr std::string_view kCompleted = "response.completed";

void add(json::object& object, std::string_view name, json::value value) {
    if (!object.contains(name)) {
        object.emplace(name, std::move(value));
    }
}

bool is_about_a_part(std::string_view type) {
    return type.find("content_part") != type.npos || type.find("_text.") != type.npos;
}

}  // namespace

void mark_incomplete(json::object& response) {
    response["status"] = "incomplete";
    response["incomplete_details"] = json::object{{"reason", "max_output_tokens"}};
    json::value* output = response.if_contains("output");
    if (output != nullptr && output->is_array() && !output->get_array().empty() &&
        output->get_array().back().is_object()) {
        output->get_array().back().get_object()["status"] = "incomplete";
    }
}

ResponsesAnswer::ResponsesAnswer(json::object request, std::string_view model, std::int64_t now_s)
    : request_(std::move(request)), model_(model), now_s_(now_s) {}

bool ResponsesAnswer::edit(json::object& answer) {
    if (answer.contains("error") && !answer.contains("output")) {
        return false;
    }
    if (reached_limit(answer)) {
        mark_incomplete(answer);
    }
    complete(answer);
    return true;
}

bool ResponsesAnswer::edit_event(json::object& event, std::string& out) {
    const json::value* type = event.if_contains("type");
    if (type == nullptr || !type->is_string() || event.contains("sequence_number")) {
        return false;
    }
    if (json::value* response = event.if_contains("response");
        response != nullptr && response->is_object()) {
        const bool cut =
            view(type->get_string()) == kCompleted && reached_limit(response->get_object());
        edit(response->get_object());
        if (cut) {
            event["type"] = "response.incomplete";
        }
    }
    place(event);
    end_arguments(event, out);
    number(event);
    return true;
}

bool ResponsesAnswer::reached_limit(const json::object& response) const {
    const double limit = number_of(&request_, "max_output_tokens");
    const json::value* usage = response.if_contains("usage");
    const json::value* status = response.if_contains("status");
    return limit > 0 && status != nullptr && *status == "completed" &&
           number_of(usage, "output_tokens") >= limit;
}

void ResponsesAnswer::complete(json::object& response) const {
    const auto asked = [this](std::string_view name, json::value otherwise) {
        const json::value* value = member_of(&request_, name);
        return value == nullptr || value->is_null() ? std::move(otherwise) : *value;
    };
    add(response, "created_at", now_s_);
    add(response, "model", json::string(model_));
    add(response, "output", json::array());
    add(response, "error", nullptr);
    add(response, "incomplete_details", nullptr);
    add(response, "usage", nullptr);
    add(response, "previous_response_id", nullptr);
    add(response, "store", false);
    add(response, "background", false);
    add(response, "instructions", asked("instructions", nullptr));
    add(response, "max_output_tokens", asked("max_output_tokens", nullptr));
    add(response, "metadata", asked("metadata", json::object()));
    add(response, "parallel_tool_calls", asked("parallel_tool_calls", true));
    add(response,
        "reasoning",
        asked("reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}}));
    add(response, "temperature", asked("temperature", nullptr));
    add(response, "top_p", asked("top_p", nullptr));
    add(response, "text", asked("text", json::object{{"format", json::object{{"type", "text"}}}}));
    add(response, "tool_choice", asked("tool_choice", "auto"));
    add(response, "tools", asked("tools", json::array()));
    add(response, "truncation", asked("truncation", "disabled"));
    if (json::value& usage = response["usage"]; usage.is_object()) {
        add(usage.get_object(), "output_tokens_details", json::object{{"reasoning_tokens", 0}});
    }
}

void ResponsesAnswer::number(json::object& event) {
    event["sequence_number"] = sequence_++;
}

void ResponsesAnswer::place(json::object& event) {
    const json::value* item = event.if_contains("item");
    const json::value* item_id = event.if_contains("item_id");
    const std::string_view type = view(event.at("type").get_string());
    if (item_id != nullptr && item_id->is_string()) {
        add(event, "output_index", index_of(view(item_id->get_string())));
    } else if (item != nullptr) {
        add(event, "output_index", index_of(text_of(item, "id")));
    }
    if (!is_about_a_part(type)) {
        return;
    }
    if (type.starts_with("response.output_text.")) {
        add(event, "logprobs", json::array());
    }
    if (json::value* part = event.if_contains("part"); part != nullptr && part->is_object()) {
        add(part->get_object(), "annotations", json::array());
    }
    add(event, "content_index", 0);
}

std::int64_t ResponsesAnswer::index_of(std::string_view item) {
    const auto found = std::find(items_.begin(), items_.end(), item);
    const auto index = found - items_.begin();
    if (found == items_.end()) {
        items_.emplace_back(item);
    }
    return index;
}

/// The engine leaves out that the arguments of a call are complete.
void ResponsesAnswer::end_arguments(const json::object& done, std::string& out) {
    const json::value* item = done.if_contains("item");
    if (done.at("type") != "response.output_item.done" ||
        text_of(item, "type") != "function_call") {
        return;
    }
    json::object ended{{"type", "response.function_call_arguments.done"},
                       {"item_id", text_of(item, "id")},
                       {"name", text_of(item, "name")},
                       {"arguments", text_of(item, "arguments")},
                       {"output_index", done.at("output_index")}};
    number(ended);
    append_event(out, ended);
}

}  // namespace drover::gateway::dialect
