#include "gateway/dialect/anthropic_answer.hpp"

#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/dialect/chat_parts.hpp"
#include "gateway/dialect/engine_answer.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

std::string_view stop_reason_of(std::string_view finish_reason) {
    return finish_reason == "length"           ? "max_tokens"
           : finish_reason == "tool_calls"     ? "tool_use"
           : finish_reason == "content_filter" ? "refusal"
                                               : "end_turn";
}

json::object usage_of(const json::value* usage) {
    const auto count = [](const json::value* counts, std::string_view name) {
        return static_cast<std::int64_t>(number_of(counts, name));
    };
    const json::value* details = member_of(usage, "prompt_tokens_details");
    const std::int64_t cached = count(details, "cached_tokens");
    json::object counts{{"input_tokens", count(usage, "prompt_tokens") - cached},
                        {"output_tokens", count(usage, "completion_tokens")}};
    if (details != nullptr) {
        counts["cache_read_input_tokens"] = cached;
    }
    return counts;
}

/// The first choice of an answer or a chunk.
std::string id_of(const json::value& answer) {
    return "msg_" + std::string(text_of(&answer, "id"));
}

json::object message_of(const json::value& answer, std::string_view model) {
    return {{"id", id_of(answer)},
            {"type", "message"},
            {"role", "assistant"},
            {"model", model},
            {"content", json::array()},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"usage", usage_of(member_of(&answer, "usage"))}};
}

json::value arguments_of(std::string_view text) {
    json::error_code failed;
    json::value arguments = json::parse(text, failed);
    return failed || !arguments.is_object() ? json::value(json::object()) : arguments;
}

json::object tool_use(const json::value& call, json::value input) {
    return {{"type", "tool_use"},
            {"id", text_of(&call, "id")},
            {"name", text_of(member_of(&call, "function"), "name")},
            {"input", std::move(input)}};
}

}  // namespace

std::string AnthropicAnswer::whole(std::string_view body) {
    json::error_code failed;
    const json::value answer = json::parse(body, failed);
    const json::value* choice = failed ? nullptr : choice_of(answer);
    if (choice == nullptr) {
        return error_body(Dialect::anthropic,
                          error_row(ErrorCode::engine_failed),
                          "the server's answer is no chat completion");
    }
    json::object message = message_of(answer, model_);
    json::array& content = message["content"].get_array();
    const json::value* said = member_of(choice, "message");
    if (const std::string_view thought = thought_of(said); !thought.empty()) {
        content.emplace_back(
            json::object{{"type", "thinking"}, {"thinking", thought}, {"signature", ""}});
    }
    if (const std::string_view text = text_of(said, "content"); !text.empty()) {
        content.emplace_back(json::object{{"type", "text"}, {"text", text}});
    }
    const json::value* calls = member_of(said, "tool_calls");
    if (calls != nullptr && calls->is_array()) {
        for (const json::value& call : calls->get_array()) {
            content.emplace_back(
                tool_use(call, arguments_of(text_of(member_of(&call, "function"), "arguments"))));
        }
    }
    message["stop_reason"] = stop_reason_of(text_of(choice, "finish_reason"));
    return json::serialize(message);
}

void AnthropicAnswer::put(std::string_view piece, std::string& out) {
    splitter_.put(piece, [&](std::string_view data) { take(data, out); });
}

void AnthropicAnswer::take(std::string_view data, std::string& out) {
    json::error_code failed;
    const json::value chunk = json::parse(data, failed);
    if (ended_ || failed) {
        return;  // "[DONE]" among others: the end is told by finish()
    }
    if (const json::value* error = member_of(&chunk, "error"); error != nullptr) {
        ended_ = true;
        out += error_event(
            Dialect::anthropic, error_row(ErrorCode::engine_failed), text_of(error, "message"));
        return;
    }
    begin(chunk, out);
    if (const json::value* usage = member_of(&chunk, "usage");
        usage != nullptr && usage->is_object()) {
        usage_ = usage_of(usage);
    }
    const json::value* choice = choice_of(chunk);
    if (const json::value* delta = member_of(choice, "delta"); delta != nullptr) {
        take_delta(*delta, out);
    }
    if (const std::string_view reason = text_of(choice, "finish_reason"); !reason.empty()) {
        stop_reason_ = stop_reason_of(reason);
    }
}

void AnthropicAnswer::begin(const json::value& chunk, std::string& out) {
    if (!std::exchange(begun_, true)) {
        emit("message_start", {{"message", message_of(chunk, model_)}}, out);
    }
}

void AnthropicAnswer::take_delta(const json::value& delta, std::string& out) {
    if (const std::string_view thought = thought_of(&delta); !thought.empty()) {
        if (!open_ || open_type_ != "thinking") {
            open_block({{"type", "thinking"}, {"thinking", ""}}, out);
        }
        emit_delta({{"type", "thinking_delta"}, {"thinking", thought}}, out);
    }
    if (const std::string_view text = text_of(&delta, "content"); !text.empty()) {
        if (!open_ || open_type_ != "text") {
            open_block({{"type", "text"}, {"text", ""}}, out);
        }
        emit_delta({{"type", "text_delta"}, {"text", text}}, out);
    }
    const json::value* calls = member_of(&delta, "tool_calls");
    if (calls != nullptr && calls->is_array()) {
        for (const json::value& call : calls->get_array()) {
            take_call(call, out);
        }
    }
}

void AnthropicAnswer::take_call(const json::value& call, std::string& out) {
    const auto index = static_cast<std::int64_t>(number_of(&call, "index"));
    if (!open_ || open_type_ != "tool_use" || open_call_ != index) {
        open_block(tool_use(call, json::object()), out);
        open_call_ = index;
    }
    const std::string_view piece = text_of(member_of(&call, "function"), "arguments");
    if (!piece.empty()) {
        emit_delta({{"type", "input_json_delta"}, {"partial_json", piece}}, out);
    }
}

void AnthropicAnswer::open_block(json::object block, std::string& out) {
    close_block(out);
    open_ = true;
    open_type_ = view(block.at("type").get_string());
    emit("content_block_start", {{"index", blocks_++}, {"content_block", std::move(block)}}, out);
}

void AnthropicAnswer::close_block(std::string& out) {
    if (std::exchange(open_, false)) {
        if (open_type_ == "thinking") {
            emit_delta({{"type", "signature_delta"}, {"signature", ""}}, out);
        }
        emit("content_block_stop", {{"index", blocks_ - 1}}, out);
    }
}

void AnthropicAnswer::finish(std::string& out) {
    if (std::exchange(ended_, true)) {
        return;
    }
    if (stop_reason_.empty()) {
        out += error_event(Dialect::anthropic,
                           error_row(ErrorCode::engine_failed),
                           "the server ended its answer before it was complete");
        return;
    }
    close_block(out);
    emit("message_delta",
         {{"delta", json::object{{"stop_reason", stop_reason_}, {"stop_sequence", nullptr}}},
          {"usage", usage_}},
         out);
    emit("message_stop", {}, out);
}

void AnthropicAnswer::emit_delta(json::object delta, std::string& out) {
    emit("content_block_delta", {{"index", blocks_ - 1}, {"delta", std::move(delta)}}, out);
}

void AnthropicAnswer::emit(std::string_view name, json::object event, std::string& out) {
    event["type"] = name;
    out.append("event: ").append(name).append("\ndata: ");
    out.append(json::serialize(event)).append("\n\n");
}

}  // namespace drover::gateway::dialect
