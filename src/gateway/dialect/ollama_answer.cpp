#include "gateway/dialect/ollama_answer.hpp"

#include <chrono>
#include <cmath>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/engine_answer.hpp"
#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

std::int64_t nanoseconds(Duration duration) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

std::int64_t nanoseconds(double milliseconds) {
    constexpr double kNanosecondsPerMs = 1e6;
    constexpr double kMax = 9e18;
    return std::llround(std::min(std::max(milliseconds, 0.0) * kNanosecondsPerMs, kMax));
}

std::int64_t count_of(const json::value* value, std::string_view name) {
    constexpr double kMax = 9e15;
    return std::llround(std::min(std::max(number_of(value, name), 0.0), kMax));
}

json::array bytes_of(std::string_view text) {
    json::array bytes;
    for (const char c : text) {
        bytes.emplace_back(static_cast<std::int64_t>(static_cast<unsigned char>(c)));
    }
    return bytes;
}

json::object logprob_of(const json::value& token) {
    const std::string_view text = text_of(&token, "token");
    json::object logprob{{"token", text}, {"logprob", number_of(&token, "logprob")}};
    if (const json::value* bytes = member_of(&token, "bytes"); bytes != nullptr) {
        logprob["bytes"] = *bytes;  // of a token that is a part of a character, too
    } else {
        logprob["bytes"] = bytes_of(text);
    }
    return logprob;
}

/// What an engine says is wrong: {"error": {"message": ...}} or {"error": "..."}.
std::string complaint_of(const json::value& error) {
    if (error.is_string()) {
        return std::string(view(error.get_string()));
    }
    const std::string_view message = text_of(&error, "message");
    return message.empty() ? json::serialize(error) : std::string(message);
}

std::string line(const json::object& object) {
    return json::serialize(object) + "\n";
}

}  // namespace

std::string OllamaAnswer::error_line(std::string_view message) {
    return line(json::object{{"error", message}});
}

void OllamaAnswer::put(std::string_view piece, std::string& out) {
    events_.put(piece, [&](std::string_view data) { take_event(data, out); });
}

void OllamaAnswer::take_event(std::string_view data, std::string& out) {
    if (data == "[DONE]" || !error_.empty()) {
        return;
    }
    json::error_code failure;
    const json::value event = json::parse(data, failure);
    if (failure || !event.is_object()) {
        error_ = "the engine's answer is not valid JSON";
        return;
    }
    if (const json::value* error = member_of(&event, "error")) {
        error_ = complaint_of(*error);
        return;
    }
    take_numbers(event);
    const json::value* choices = member_of(&event, "choices");
    if (choices == nullptr) {
        take_choice(event, out);  // llama-server's own form, of /infill
    } else if (choices->is_array() && !choices->get_array().empty()) {
        take_choice(choices->get_array().front(), out);
    }
}

void OllamaAnswer::take_choice(const json::value& choice, std::string& out) {
    const json::value* delta = member_of(&choice, "delta");
    Piece piece;
    if (delta != nullptr) {
        piece.text = text_of(delta, "content");
        piece.thinking = thought_of(delta);
        take_tool_calls(member_of(delta, "tool_calls"));
    } else {
        piece.text = text_of(&choice, "text");
        piece.text = piece.text.empty() ? text_of(&choice, "content") : piece.text;
    }
    piece.logprobs = logprobs_of(choice);
    if (text_of(&choice, "finish_reason") == "length" || text_of(&choice, "stop_type") == "limit") {
        reason_ = "length";
    }
    if (!piece.text.empty() || !piece.thinking.empty() || !piece.logprobs.empty()) {
        emit(std::move(piece), out);
    }
}

void OllamaAnswer::take_tool_calls(const json::value* calls) {
    if (calls == nullptr || !calls->is_array()) {
        return;
    }
    for (const json::value& one : calls->get_array()) {
        const json::value* function = member_of(&one, "function");
        ToolCall& call = tool_calls_[count_of(&one, "index")];
        call.id += text_of(&one, "id");
        call.name += text_of(function, "name");
        call.arguments += text_of(function, "arguments");
    }
}

void OllamaAnswer::take_numbers(const json::value& event) {
    if (const json::value* usage = member_of(&event, "usage")) {
        prompt_tokens_ = count_of(usage, "prompt_tokens");
        tokens_ = count_of(usage, "completion_tokens");
    }
    if (const json::value* timings = member_of(&event, "timings")) {
        prompt_tokens_ = count_of(timings, "cache_n") + count_of(timings, "prompt_n");
        tokens_ = count_of(timings, "predicted_n");
        prompt_ms_ = number_of(timings, "prompt_ms");
        tokens_ms_ = number_of(timings, "predicted_ms");
    }
}

json::array OllamaAnswer::logprobs_of(const json::value& choice) const {
    json::array logprobs;
    for (const json::value& token : token_logprobs(choice)) {
        json::object logprob = logprob_of(token);
        const json::value* top = member_of(&token, "top_logprobs");
        if (terms_.top_logprobs && top != nullptr && top->is_array()) {
            json::array alternatives;
            for (const json::value& other : top->get_array()) {
                alternatives.emplace_back(logprob_of(other));
            }
            logprob["top_logprobs"] = std::move(alternatives);
        }
        logprobs.emplace_back(std::move(logprob));
    }
    return logprobs;
}

json::object OllamaAnswer::frame() const {
    return {{"model", terms_.model}, {"created_at", rfc3339(clock_().wall_ms)}};
}

json::object OllamaAnswer::message(std::string_view text, std::string_view thinking) const {
    json::object message{{"role", "assistant"}, {"content", text}};
    if (!thinking.empty()) {
        message["thinking"] = thinking;
    }
    return message;
}

void OllamaAnswer::put_text(json::object& answer,
                            std::string_view text,
                            std::string_view thinking) const {
    if (terms_.call == OllamaCall::chat) {
        answer["message"] = message(text, thinking);
        return;
    }
    answer["response"] = text;
    if (!thinking.empty()) {
        answer["thinking"] = thinking;
    }
}

void OllamaAnswer::emit(Piece piece, std::string& out) {
    text_ += piece.text;
    if (!terms_.stream) {
        thinking_ += piece.thinking;
        logprobs_.insert(logprobs_.end(), piece.logprobs.begin(), piece.logprobs.end());
        return;
    }
    json::object answer = frame();
    put_text(answer, piece.text, piece.thinking);
    answer["done"] = false;
    if (!piece.logprobs.empty()) {
        answer["logprobs"] = std::move(piece.logprobs);
    }
    out += line(answer);
}

json::array OllamaAnswer::finished_tool_calls() const {
    json::array calls;
    for (const auto& [index, call] : tool_calls_) {
        json::error_code failure;
        json::value arguments = json::parse(call.arguments, failure);
        if (failure || !arguments.is_object()) {
            // A call that was cut off by a limit: what there is, in the type that clients expect.
            arguments = json::object();
        }
        json::object function{
            {"index", index}, {"name", call.name}, {"arguments", std::move(arguments)}};
        calls.emplace_back(json::object{{"id", call.id}, {"function", std::move(function)}});
    }
    return calls;
}

void OllamaAnswer::put_metrics(json::object& answer) const {
    const TimePoint now = clock_().monotonic;
    const auto put = [&](std::string_view name, std::int64_t value) {
        if (value > 0) {
            answer[name] = value;
        }
    };
    const Duration loading = loaded_.value_or(terms_.asked.monotonic) - terms_.asked.monotonic;
    put("total_duration", nanoseconds(now - terms_.asked.monotonic));
    put("load_duration", nanoseconds(loading));
    put("prompt_eval_count", prompt_tokens_);
    put("prompt_eval_duration", nanoseconds(prompt_ms_));
    put("eval_count", tokens_);
    put("eval_duration", nanoseconds(tokens_ms_));
}

std::string OllamaAnswer::finish(std::optional<json::array> context) {
    json::object answer = frame();
    put_text(answer, terms_.stream ? std::string_view() : text_, thinking_);
    if (!tool_calls_.empty() && terms_.call == OllamaCall::chat) {
        answer["message"].get_object()["tool_calls"] = finished_tool_calls();
    }
    answer["done"] = true;
    answer["done_reason"] = reason_;
    if (context.has_value()) {
        answer["context"] = *std::move(context);
    }
    put_metrics(answer);
    if (!logprobs_.empty()) {
        answer["logprobs"] = std::move(logprobs_);
    }
    return line(answer);
}

std::string OllamaAnswer::nothing(std::string_view reason) {
    json::object answer = frame();
    put_text(answer, "", "");
    answer["done"] = true;
    answer["done_reason"] = reason;
    return line(answer);
}

std::string OllamaAnswer::rendered(std::string_view prompt) {
    json::object answer = frame();
    put_text(answer, "", "");
    answer["done"] = false;
    answer["_debug_info"] = json::object{{"rendered_template", prompt}};
    return line(answer);
}

}  // namespace drover::gateway::dialect
