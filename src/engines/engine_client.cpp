#include "engines/engine_client.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "engines/http_call.hpp"

namespace drover::engines {

namespace json = boost::json;
using platform::Task;

namespace {

Error failed(std::string message) {
    return {ErrorCode::engine_failed, std::move(message)};
}

const json::value* member(const json::value& object, std::string_view key) {
    return object.is_object() ? object.get_object().if_contains(key) : nullptr;
}

std::uint32_t count_of(const json::value& object, std::string_view key) {
    const json::value* value = member(object, key);
    boost::system::error_code error;
    return value == nullptr ? 0 : value->to_number<std::uint32_t>(error);
}

Result<json::value> parsed(const Result<std::string>& answer) {
    if (!answer.ok()) {
        return answer.error();
    }
    boost::system::error_code error;
    json::value value = json::parse(*answer, error);
    if (error) {
        return failed("the engine's answer is no JSON");
    }
    return value;
}

/// The body of a successful answer, or what the engine says is wrong.
Result<std::string> body_of(const HttpAnswer& answer) {
    if (answer.status == 200) {
        return answer.body;
    }
    std::string message = "the engine answered " + std::to_string(answer.status);
    boost::system::error_code error;
    const json::value complaint = json::parse(answer.body, error);
    const json::value* details = error ? nullptr : member(complaint, "error");
    const json::value* text = details == nullptr ? nullptr : member(*details, "message");
    if (text != nullptr && text->is_string()) {
        message += ": " + std::string(text->get_string());
    }
    return failed(std::move(message));
}

std::string file_body(const std::string& file) {
    return json::serialize(json::object{{"filename", file}});
}

std::string slot_target(std::uint32_t slot, std::string_view action) {
    return "/slots/" + std::to_string(slot) + "?action=" + std::string(action);
}

/// The value of a line "llamacpp:NAME VALUE".
double metric(std::string_view text, std::string_view name) {
    const std::string start = "\nllamacpp:" + std::string(name) + " ";
    const std::size_t at = text.find(start);
    double value = 0;
    if (at != std::string_view::npos) {
        std::from_chars(text.data() + at + start.size(), text.data() + text.size(), value);
    }
    return value;
}

/// What images and sound become in tokens is not told.
bool has_media(std::string_view body) {
    static constexpr std::array<std::string_view, 3> kSigns{
        "\"image_url\"", "\"input_audio\"", "\"image\""};
    return std::any_of(kSigns.begin(), kSigns.end(), [body](std::string_view sign) {
        return body.find(sign) != std::string_view::npos;
    });
}

/// The request whose tokens the engine is to tell: `prompt` as text.
std::optional<std::string> text_request(const json::value& answer, std::string_view key) {
    const json::value* prompt = member(answer, key);
    if (prompt == nullptr || !prompt->is_string()) {
        return std::nullopt;
    }
    return json::serialize(json::object{
        {"content", prompt->get_string()}, {"add_special", true}, {"parse_special", true}});
}

}  // namespace

Task<Result<std::string>> EngineClient::call(std::string method,
                                             std::string target,
                                             std::string body,
                                             TimePoint deadline) {
    HttpQuestion question{
        .method = std::move(method), .path = std::move(target), .body = std::move(body)};
    const auto answer = co_await http_call(loop_, endpoint_, std::move(question), deadline);
    co_return answer.ok() ? body_of(*answer) : Result<std::string>(answer.error());
}

Task<Result<std::vector<Slot>>> EngineClient::slots(TimePoint deadline) {
    const Result<std::string> text = co_await call("GET", "/slots", "", deadline);
    const Result<json::value> answer = parsed(text);
    if (!answer.ok()) {
        co_return answer.error();
    }
    if (!answer->is_array()) {
        co_return failed("the engine does not tell its slots");
    }
    std::vector<Slot> slots;
    for (const json::value& one : answer->get_array()) {
        const json::value* busy = member(one, "is_processing");
        Slot slot{.id = count_of(one, "id"),
                  .tokens = count_of(one, "n_prompt_tokens"),
                  .busy = busy != nullptr && busy->is_bool() && busy->get_bool()};
        if (member(one, "id_task") != nullptr) {
            slot.task = count_of(one, "id_task");
        }
        slots.push_back(slot);
    }
    co_return slots;
}

Task<Status> EngineClient::save(std::uint32_t slot, std::string file, TimePoint deadline) {
    const Result<std::string> text =
        co_await call("POST", slot_target(slot, "save"), file_body(file), deadline);
    co_return text.ok() ? Status() : Status(text.error());
}

Task<Result<std::uint32_t>> EngineClient::restore(std::uint32_t slot,
                                                  std::string file,
                                                  TimePoint deadline) {
    const Result<std::string> text =
        co_await call("POST", slot_target(slot, "restore"), file_body(file), deadline);
    const Result<json::value> answer = parsed(text);
    if (!answer.ok()) {
        co_return answer.error();
    }
    co_return count_of(*answer, "n_restored");
}

Task<Result<PromptCounters>> EngineClient::prompt_counters(TimePoint deadline) {
    const Result<std::string> text = co_await call("GET", "/metrics", "", deadline);
    if (!text.ok()) {
        co_return text.error();
    }
    co_return PromptCounters{.computed = metric(*text, "prompt_tokens_total"),
                             .cached = metric(*text, "prompt_tokens_cached_total"),
                             .seconds = metric(*text, "prompt_seconds_total")};
}

Task<Result<std::vector<std::int32_t>>> EngineClient::prompt_tokens(std::string path,
                                                                    std::string body,
                                                                    TimePoint deadline) {
    std::optional<std::string> request;
    if (has_media(body)) {
        co_return Error{ErrorCode::invalid_argument, "the tokens of images and sound are not told"};
    }
    if (path.find("chat/completions") != std::string::npos) {
        const Result<std::string> text =
            co_await call("POST", "/apply-template", std::move(body), deadline);
        const Result<json::value> answer = parsed(text);
        if (!answer.ok()) {
            co_return answer.error();
        }
        request = text_request(*answer, "prompt");
    } else if (path.find("completion") != std::string::npos) {
        const Result<json::value> asked = parsed(std::move(body));
        request = asked.ok() ? text_request(*asked, "prompt") : std::nullopt;
    }
    if (!request.has_value()) {
        co_return Error{ErrorCode::invalid_argument, "the tokens of this request cannot be told"};
    }
    co_return co_await tokenize(std::move(*request), deadline);
}

Task<Result<std::vector<std::int32_t>>> EngineClient::answer_opening(TimePoint deadline) {
    json::object question{{"role", "user"}, {"content", "?"}};
    json::array messages;
    messages.emplace_back(std::move(question));
    std::array<std::string, 2> prompts;
    for (const bool open : {false, true}) {
        std::string asked =
            json::serialize(json::object{{"messages", messages}, {"add_generation_prompt", open}});
        const Result<std::string> text =
            co_await call("POST", "/apply-template", std::move(asked), deadline);
        const Result<json::value> answer = parsed(text);
        const json::value* prompt = answer.ok() ? member(*answer, "prompt") : nullptr;
        if (prompt == nullptr || !prompt->is_string()) {
            co_return answer.ok() ? failed("the engine does not tell prompts") : answer.error();
        }
        prompts[open ? 1 : 0] = std::string(prompt->get_string());
    }
    if (!prompts[1].starts_with(prompts[0])) {
        co_return failed("the model's template does not put an answer behind its question");
    }
    std::string request =
        json::serialize(json::object{{"content", prompts[1].substr(prompts[0].size())},
                                     {"add_special", false},
                                     {"parse_special", true}});
    co_return co_await tokenize(std::move(request), deadline);
}

Task<Status> EngineClient::reduce(std::uint32_t slot,
                                  std::vector<std::int32_t> tokens,
                                  TimePoint deadline) {
    std::string request =
        json::serialize(json::object{{"prompt", json::array(tokens.begin(), tokens.end())},
                                     {"id_slot", slot},
                                     {"n_predict", 0},
                                     {"cache_prompt", true}});
    const Result<std::string> text =
        co_await call("POST", "/completion", std::move(request), deadline);
    co_return text.ok() ? Status() : Status(text.error());
}

Task<Result<std::vector<std::int32_t>>> EngineClient::tokenize(std::string request,
                                                               TimePoint deadline) {
    const Result<std::string> text =
        co_await call("POST", "/tokenize", std::move(request), deadline);
    const Result<json::value> answer = parsed(text);
    const json::value* listed = answer.ok() ? member(*answer, "tokens") : nullptr;
    if (listed == nullptr || !listed->is_array()) {
        co_return answer.ok() ? failed("the engine does not tell tokens") : answer.error();
    }
    std::vector<std::int32_t> tokens;
    tokens.reserve(listed->get_array().size());
    for (const json::value& token : listed->get_array()) {
        boost::system::error_code error;
        tokens.push_back(token.to_number<std::int32_t>(error));
    }
    co_return tokens;
}

}  // namespace drover::engines
