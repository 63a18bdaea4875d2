#include "gateway/dialect/responses_of_chat.hpp"

#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/dialect/chat_parts.hpp"
#include "gateway/dialect/engine_answer.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

json::value response_usage_of(const json::value* usage) {
    if (usage == nullptr || !usage->is_object()) {
        return nullptr;
    }
    const auto count = [](const json::value* counts, std::string_view name) {
        return static_cast<std::int64_t>(number_of(counts, name));
    };
    const std::int64_t input = count(usage, "prompt_tokens");
    const std::int64_t output = count(usage, "completion_tokens");
    const std::int64_t cached = count(member_of(usage, "prompt_tokens_details"), "cached_tokens");
    return json::object{{"input_tokens", input},
                        {"output_tokens", output},
                        {"total_tokens", input + output},
                        {"input_tokens_details", json::object{{"cached_tokens", cached}}}};
}

json::object part_of_type(std::string_view type, std::string_view text) {
    json::object part{{"type", type}, {"text", text}};
    if (type == "output_text") {
        part["annotations"] = json::array();
        part["logprobs"] = json::array();
    }
    return part;
}

json::object reasoning_item(std::string_view id) {
    return {{"id", "rs_" + std::string(id)},
            {"type", "reasoning"},
            {"status", "in_progress"},
            {"summary", json::array()},
            {"content", json::array()},
            {"encrypted_content", ""}};
}

json::object message_item(std::string_view id) {
    return {{"id", "msg_" + std::string(id)},
            {"type", "message"},
            {"role", "assistant"},
            {"status", "in_progress"},
            {"content", json::array()}};
}

json::object call_item(const json::value& call) {
    return {{"id", "fc_" + std::string(text_of(&call, "id"))},
            {"type", "function_call"},
            {"status", "in_progress"},
            {"call_id", text_of(&call, "id")},
            {"name", text_of(member_of(&call, "function"), "name")},
            {"arguments", ""}};
}

/// `item` with all that was said.
json::object complete(json::object item, std::string_view said) {
    item["status"] = "completed";
    if (item.contains("arguments")) {
        item["arguments"] = said;
    } else {
        const bool thought = item.at("type") == "reasoning";
        item["content"] =
            json::array{part_of_type(thought ? "reasoning_text" : "output_text", said)};
    }
    return item;
}

}  // namespace

std::string ResponsesOfChat::whole(std::string_view body) {
    json::error_code failed;
    const json::value answer = json::parse(body, failed);
    const json::value* choice = failed ? nullptr : choice_of(answer);
    if (choice == nullptr) {
        return error_body(Dialect::openai,
                          error_row(ErrorCode::engine_failed),
                          "the server's answer is no chat completion");
    }
    id_ = text_of(&answer, "id");
    const json::value* said = member_of(choice, "message");
    if (const std::string_view thought = thought_of(said); !thought.empty()) {
        output_.emplace_back(complete(reasoning_item(id_), thought));
    }
    if (const std::string_view text = text_of(said, "content"); !text.empty()) {
        output_.emplace_back(complete(message_item(id_), text));
    }
    const json::value* calls = member_of(said, "tool_calls");
    if (calls != nullptr && calls->is_array()) {
        for (const json::value& call : calls->get_array()) {
            output_.emplace_back(
                complete(call_item(call), text_of(member_of(&call, "function"), "arguments")));
        }
    }
    usage_ = response_usage_of(member_of(&answer, "usage"));
    finish_reason_ = text_of(choice, "finish_reason");
    return shape_.whole(json::serialize(response("completed")));
}

void ResponsesOfChat::put(std::string_view piece, std::string& out) {
    splitter_.put(piece, [&](std::string_view data) { take(data); });
    shape_.put(std::exchange(events_, {}), out);
}

void ResponsesOfChat::take(std::string_view data) {
    json::error_code failed;
    const json::value chunk = json::parse(data, failed);
    if (ended_ || failed) {
        return;  // "[DONE]" among others: the end is told by finish()
    }
    begin(chunk);
    if (const json::value* error = member_of(&chunk, "error"); error != nullptr) {
        return fail(text_of(error, "message"));
    }
    if (json::value usage = response_usage_of(member_of(&chunk, "usage")); !usage.is_null()) {
        usage_ = std::move(usage);
    }
    const json::value* choice = choice_of(chunk);
    if (const json::value* delta = member_of(choice, "delta"); delta != nullptr) {
        take_delta(*delta);
    }
    if (const std::string_view reason = text_of(choice, "finish_reason"); !reason.empty()) {
        finish_reason_ = reason;
    }
}

void ResponsesOfChat::begin(const json::value& chunk) {
    if (std::exchange(begun_, true)) {
        return;
    }
    id_ = text_of(&chunk, "id");
    for (const std::string_view type : {"response.created", "response.in_progress"}) {
        emit(type, {{"response", response("in_progress")}});
    }
}

void ResponsesOfChat::take_delta(const json::value& delta) {
    take_text("reasoning", thought_of(&delta));
    take_text("message", text_of(&delta, "content"));
    const json::value* calls = member_of(&delta, "tool_calls");
    if (calls != nullptr && calls->is_array()) {
        for (const json::value& call : calls->get_array()) {
            take_call(call);
        }
    }
}

void ResponsesOfChat::take_text(std::string_view type, std::string_view text) {
    if (text.empty()) {
        return;
    }
    const bool message = type == "message";
    if (item_.empty() || view(item_.at("type").get_string()) != type) {
        open_item(message ? message_item(id_) : reasoning_item(id_));
        if (message) {
            emit("response.content_part.added",
                 {{"item_id", item_.at("id")}, {"part", part_of_type("output_text", "")}});
        }
    }
    said_ += text;
    emit(message ? "response.output_text.delta" : "response.reasoning_text.delta",
         {{"item_id", item_.at("id")}, {"delta", text}});
}

void ResponsesOfChat::take_call(const json::value& call) {
    const auto index = static_cast<std::int64_t>(number_of(&call, "index"));
    if (item_.empty() || !item_.contains("arguments") || call_ != index) {
        open_item(call_item(call));
        call_ = index;
    }
    const std::string_view piece = text_of(member_of(&call, "function"), "arguments");
    if (!piece.empty()) {
        said_ += piece;
        emit("response.function_call_arguments.delta",
             {{"item_id", item_.at("id")}, {"delta", piece}});
    }
}

void ResponsesOfChat::open_item(json::object item) {
    close_item();
    item_ = std::move(item);
    emit("response.output_item.added", {{"item", item_}});
}

void ResponsesOfChat::close_item() {
    if (item_.empty()) {
        return;
    }
    const json::object item = complete(std::exchange(item_, {}), said_);
    if (item.at("type") == "message") {
        emit("response.output_text.done", {{"item_id", item.at("id")}, {"text", said_}});
        emit("response.content_part.done",
             {{"item_id", item.at("id")}, {"part", item.at("content").at(0)}});
    }
    emit("response.output_item.done", {{"item", item}});
    output_.push_back(item);
    said_.clear();
}

void ResponsesOfChat::finish(std::string& out) {
    if (!std::exchange(ended_, true)) {
        if (finish_reason_.empty()) {
            fail("the server ended its answer before it was complete");
        } else {
            close_item();
            json::object last = response("completed");
            const bool cut = last.at("status") == "incomplete";
            emit(cut ? "response.incomplete" : "response.completed",
                 {{"response", std::move(last)}});
        }
    }
    shape_.put(std::exchange(events_, {}), out);
    shape_.finish(out);
}

void ResponsesOfChat::fail(std::string_view message) {
    ended_ = true;
    json::object failed = response("failed");
    failed["error"] = json::object{{"code", "server_error"}, {"message", message}};
    emit("response.failed", {{"response", std::move(failed)}});
}

json::object ResponsesOfChat::response(std::string_view status) const {
    json::object response{{"id", "resp_" + id_},
                          {"object", "response"},
                          {"status", status},
                          {"output", output_},
                          {"usage", usage_}};
    if (status == "completed" && finish_reason_ == "length") {
        mark_incomplete(response);
    }
    return response;
}

void ResponsesOfChat::emit(std::string_view type, json::object event) {
    event["type"] = type;
    events_.append("event: ").append(type).append("\ndata: ");
    events_.append(json::serialize(event)).append("\n\n");
}

}  // namespace drover::gateway::dialect
