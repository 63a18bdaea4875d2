#include "gateway/dialect/messages_answer.hpp"

#include <string_view>

#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

json::object* object_of(json::object& parent, std::string_view name) {
    json::value* value = parent.if_contains(name);
    return value == nullptr ? nullptr : value->if_object();
}

bool name_stop(json::object& end) {
    const json::value* sequence = end.if_contains("stop_sequence");
    json::value* reason = end.if_contains("stop_reason");
    if (sequence == nullptr || !sequence->is_string() || reason == nullptr ||
        !reason->is_string() || view(reason->get_string()) != "end_turn") {
        return false;
    }
    *reason = "stop_sequence";
    return true;
}

bool name_message(json::object& message) {
    constexpr std::string_view kForeign = "chatcmpl-";
    json::value* id = message.if_contains("id");
    if (id == nullptr || !id->is_string() || !view(id->get_string()).starts_with(kForeign)) {
        return false;
    }
    const std::string named = "msg_" + std::string(view(id->get_string()).substr(kForeign.size()));
    *id = json::string(named);
    return true;
}

}  // namespace

bool MessagesAnswer::edit(json::object& answer) {
    const bool named = name_message(answer);
    return name_stop(answer) || named;
}

bool MessagesAnswer::edit_event(json::object& event, std::string&) {
    if (json::object* message = object_of(event, "message"); message != nullptr) {
        if (const json::object* usage = object_of(*message, "usage"); usage != nullptr) {
            usage_ = *usage;
        }
        return name_message(*message);
    }
    bool changed = false;
    json::object* delta = object_of(event, "delta");
    if (json::object* usage = object_of(event, "usage"); usage != nullptr) {
        for (const auto& [name, count] : usage_) {
            changed = usage->emplace(name, count).second || changed;
        }
    }
    return (delta != nullptr && name_stop(*delta)) || changed;
}

}  // namespace drover::gateway::dialect
