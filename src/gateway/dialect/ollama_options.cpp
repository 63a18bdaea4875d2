#include "gateway/dialect/ollama_options.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// An option that is a number on both sides, and what Ollama takes when it is not given.
struct NumberOption {
    std::string_view ollama;
    std::string_view engine;
    double fallback;
    bool whole;
};

constexpr NumberOption kNumbers[] = {
    {"num_predict", "n_predict", -1, true},
    {"num_keep", "n_keep", 4, true},
    {"seed", "seed", -1, true},
    {"top_k", "top_k", 40, true},
    {"repeat_last_n", "repeat_last_n", 64, true},
    {"mirostat", "mirostat", 0, true},
    {"temperature", "temperature", 0.8, false},
    {"top_p", "top_p", 0.9, false},
    {"min_p", "min_p", 0, false},
    {"typical_p", "typical_p", 1, false},
    {"repeat_penalty", "repeat_penalty", 1, false},
    {"presence_penalty", "presence_penalty", 0, false},
    {"frequency_penalty", "frequency_penalty", 0, false},
    {"mirostat_tau", "mirostat_tau", 5, false},
    {"mirostat_eta", "mirostat_eta", 0.1, false},
};

constexpr std::string_view kOfTheInstance[] = {
    "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "draft_num_predict"};

json::value number_value(const FieldReader& options, const NumberOption& option) {
    if (option.whole) {
        return options.whole(option.ollama).value_or(static_cast<std::int64_t>(option.fallback));
    }
    return options.number(option.ollama).value_or(option.fallback);
}

/// -2 meant "until the context is full" once; the engine does that with -1.
json::value predict_limit(json::value given) {
    return given.is_int64() && given.get_int64() < 0 ? json::value(-1) : given;
}

}  // namespace

void put_ollama_options(const json::object& request,
                        json::object& body,
                        std::optional<Error>& problem) {
    static const json::object kNone;
    const json::object* given = FieldReader(request, problem).object("options");
    const FieldReader options(given != nullptr ? *given : kNone, problem, "options.");
    for (const NumberOption& option : kNumbers) {
        json::value value = number_value(options, option);
        body[option.engine] =
            option.ollama == "num_predict" ? predict_limit(std::move(value)) : std::move(value);
    }
    for (const std::string_view name : kOfTheInstance) {
        static_cast<void>(options.whole(name));
    }
    static_cast<void>(options.flag("use_mmap"));
    if (const json::array* stop = options.array("stop")) {
        if (!std::all_of(
                stop->begin(), stop->end(), [](const auto& one) { return one.is_string(); })) {
            options.complain("stop", "must be an array of strings");
        }
        body["stop"] = *stop;
    }
}

std::uint32_t ollama_context(const json::object& request) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    std::optional<Error> problem;  // whoever translates the request complains
    const json::object* options = FieldReader(request, problem).object("options");
    const auto asked =
        options != nullptr ? FieldReader(*options, problem).whole("num_ctx") : std::nullopt;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(asked.value_or(0), 0, kMost));
}

void put_ollama_format(const json::object& request,
                       bool chat,
                       json::object& body,
                       std::optional<Error>& problem) {
    const FieldReader fields(request, problem);
    const json::value* format = fields.any("format");
    if (format == nullptr || (format->is_string() && format->get_string().empty())) {
        return;
    }
    json::object schema;
    if (format->is_object()) {
        schema = format->get_object();
    } else if (!format->is_string() || format->get_string() != "json") {
        return fields.complain("format", "must be \"json\" or a JSON Schema object");
    }
    if (!chat) {
        body["json_schema"] = std::move(schema);
    } else if (format->is_string()) {
        body["response_format"] = json::object{{"type", "json_object"}};
    } else {
        body["response_format"] =
            json::object{{"type", "json_schema"},
                         {"json_schema", json::object{{"name", "schema"}, {"schema", schema}}}};
    }
}

bool put_ollama_think(const json::object& request,
                      json::object& body,
                      std::optional<Error>& problem) {
    const FieldReader fields(request, problem);
    const json::value* think = fields.any("think");
    if (think == nullptr) {
        return false;
    }
    if (const bool* wanted = think->if_bool()) {
        body["chat_template_kwargs"] = json::object{{"enable_thinking", *wanted}};
        return *wanted;
    }
    if (const json::string* level = think->if_string()) {
        constexpr std::string_view kLevels[] = {"high", "medium", "low", "max"};
        if (std::find(std::begin(kLevels), std::end(kLevels), view(*level)) != std::end(kLevels)) {
            body["chat_template_kwargs"] =
                json::object{{"enable_thinking", true}, {"reasoning_effort", *level}};
            return true;
        }
        if (!problem.has_value()) {
            problem = Error{ErrorCode::invalid_argument,
                            "invalid think value: \"" + std::string(view(*level)) +
                                "\" (must be \"high\", \"medium\", \"low\", \"max\", true, or "
                                "false)"};
        }
        return false;
    }
    fields.complain("think",
                    "must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or "
                    "false)");
    return false;
}

void put_ollama_logprobs(const json::object& request,
                         bool chat,
                         json::object& body,
                         std::optional<Error>& problem) {
    const FieldReader fields(request, problem);
    constexpr std::int64_t kTopMax = 20;
    const std::int64_t top = fields.whole("top_logprobs").value_or(0);
    if ((top < 0 || top > kTopMax) && !problem.has_value()) {
        problem = Error{ErrorCode::invalid_argument,
                        "top_logprobs must be between 0 and 20"};  // Ollama's
    }
    if (!fields.flag("logprobs").value_or(false)) {
        return;
    }
    const std::int64_t asked = std::max<std::int64_t>(top, 1);
    if (chat) {
        body["logprobs"] = true;
        body["top_logprobs"] = asked;
    } else {
        body["logprobs"] = asked;
    }
}

}  // namespace drover::gateway::dialect
