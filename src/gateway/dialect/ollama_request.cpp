#include "gateway/dialect/ollama_request.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/text.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/dialect/media.hpp"
#include "gateway/dialect/ollama_options.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

std::string indexed(std::string_view name, std::size_t index) {
    return std::string(name) + "[" + std::to_string(index) + "]";
}

/// Text and media of a message as OpenAI has them: plain text when there are no media.
json::value content_of(const FieldReader& message, std::string_view text, Problem& problem) {
    const json::array* images = message.array("images");
    if (images == nullptr || images->empty()) {
        return json::value(text);
    }
    json::array parts;
    if (!text.empty()) {
        parts.emplace_back(json::object{{"type", "text"}, {"text", text}});
    }
    for (std::size_t i = 0; i < images->size(); ++i) {
        const json::string* base64 = (*images)[i].if_string();
        auto part = base64 != nullptr ? media_part(view(*base64))
                                      : Result<json::object>(Error{ErrorCode::invalid_argument,
                                                                   "must be a string of base64"});
        if (!part.ok()) {
            message.complain(indexed("images", i), part.error().message);
            break;
        }
        parts.emplace_back(std::move(*part));
    }
    static_cast<void>(problem);
    return parts;
}

/// Ollama's calls have arguments as objects, OpenAI's as text.
json::array tool_calls_of(const FieldReader& message, const json::array& calls, Problem& problem) {
    json::array translated;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const std::string path = message.path_of(indexed("tool_calls", i)) + ".";
        if (!calls[i].is_object()) {
            message.complain(indexed("tool_calls", i), "must be an object");
            break;
        }
        const FieldReader call(calls[i].get_object(), problem, path);
        const json::object* function = call.object("function");
        if (function == nullptr) {
            call.complain("function", "is missing");
            break;
        }
        const FieldReader named(*function, problem, path + "function.");
        const json::object* arguments = named.object("arguments");
        json::object one{
            {"type", "function"},
            {"function",
             json::object{
                 {"name", named.text("name").value_or("")},
                 {"arguments", arguments != nullptr ? json::serialize(*arguments) : "{}"}}}};
        // Templates pair calls with results by id, and Ollama's clients need not send one.
        const std::string_view id = call.text("id").value_or("");
        one["id"] = id.empty() ? "call_" + std::to_string(i) : std::string(id);
        translated.emplace_back(std::move(one));
    }
    return translated;
}

json::object message_of(const json::object& given, std::string path, Problem& problem) {
    const FieldReader message(given, problem, std::move(path));
    const std::string role = to_lower(message.text("role").value_or(""));
    if (role.empty()) {
        message.complain("role", "is missing");
    }
    json::object translated{{"role", role}};
    translated["content"] = content_of(message, message.text("content").value_or(""), problem);
    if (const auto thinking = message.text("thinking");
        thinking.has_value() && !thinking->empty()) {
        translated["reasoning_content"] = *thinking;
    }
    if (const json::array* calls = message.array("tool_calls")) {
        if (!calls->empty()) {
            translated["tool_calls"] = tool_calls_of(message, *calls, problem);
        }
    }
    if (const auto name = message.text("tool_name"); name.has_value() && !name->empty()) {
        translated["name"] = *name;
    }
    if (const auto id = message.text("tool_call_id"); id.has_value() && !id->empty()) {
        translated["tool_call_id"] = *id;
    }
    return translated;
}

/// What chats and generations have in common.
void put_common(const FieldReader& fields,
                const json::object& request,
                bool chat,
                OllamaGeneration& generation,
                Problem& problem) {
    json::object& body = generation.body;
    generation.stream = fields.flag("stream").value_or(true);
    generation.truncate = fields.flag("truncate").value_or(true);
    generation.debug_render = fields.flag("_debug_render_only").value_or(false);
    static_cast<void>(fields.flag("shift"));
    body["stream"] = true;
    body["stream_options"] = json::object{{"include_usage", true}};
    body["cache_prompt"] = true;
    put_ollama_options(request, body, problem);
    put_ollama_format(request, chat, body, problem);
    put_ollama_logprobs(request, chat, body, problem);
    generation.thinks = put_ollama_think(request, body, problem);
    generation.top_logprobs = fields.whole("top_logprobs").value_or(0) > 0;
}

Result<OllamaGeneration> finished(OllamaGeneration generation, Problem& problem) {
    if (problem.has_value()) {
        return *std::move(problem);
    }
    return generation;
}

}  // namespace

bool is_empty(OllamaCall call, const json::object& request) {
    const auto empty = [&](std::string_view name) {
        const json::value* found = request.if_contains(name);
        return found == nullptr || found->is_null() ||
               (found->is_array() && found->get_array().empty()) ||
               (found->is_string() && found->get_string().empty());
    };
    switch (call) {
        case OllamaCall::chat:
            return empty("messages");
        case OllamaCall::generate:
        case OllamaCall::embeddings:
            return empty("prompt");
        case OllamaCall::embed:
            return empty("input");
    }
    DROVER_UNREACHABLE();
}

Result<OllamaGeneration> ollama_chat(const json::object& request) {
    Problem problem;
    const FieldReader fields(request, problem);
    OllamaGeneration generation{.path = "/v1/chat/completions", .body = {}};
    put_common(fields, request, true, generation, problem);
    json::array messages;
    if (const json::array* given = fields.array("messages")) {
        for (std::size_t i = 0; i < given->size() && !problem.has_value(); ++i) {
            const std::string name = indexed("messages", i);
            if ((*given)[i].is_object()) {
                messages.emplace_back(message_of((*given)[i].get_object(), name + ".", problem));
            } else {
                fields.complain(name, "must be an object");
            }
        }
    }
    generation.body["messages"] = std::move(messages);
    if (const json::array* tools = fields.array("tools"); tools != nullptr && !tools->empty()) {
        for (std::size_t i = 0; i < tools->size(); ++i) {
            if (!(*tools)[i].is_object()) {
                fields.complain(indexed("tools", i), "must be an object");
            }
        }
        generation.body["tools"] = *tools;
        generation.uses_tools = true;
    }
    return finished(std::move(generation), problem);
}

namespace {

/// One prompt as it is, without a template.
void put_raw(std::string_view prompt, OllamaGeneration& generation) {
    generation.path = "/v1/completions";
    generation.body["prompt"] = prompt;
    generation.truncate = false;
    generation.body.erase("chat_template_kwargs");
}

void put_infill(std::string_view prompt, std::string_view suffix, OllamaGeneration& generation) {
    generation.path = kInfillPath;
    generation.body["input_prefix"] = prompt;
    generation.body["input_suffix"] = suffix;
    generation.truncate = false;
    generation.body.erase("chat_template_kwargs");
}

}  // namespace

Result<OllamaGeneration> ollama_generate(const json::object& request) {
    Problem problem;
    const FieldReader fields(request, problem);
    const bool raw = fields.flag("raw").value_or(false);
    const std::string_view prompt = fields.text("prompt").value_or("");
    const std::string_view suffix = fields.text("suffix").value_or("");
    const std::string_view system = fields.text("system").value_or("");
    const std::string_view pattern = fields.text("template").value_or("");
    const json::array* context = fields.array("context");
    const bool has_context = context != nullptr && !context->empty();
    if (raw && (!pattern.empty() || !system.empty() || has_context)) {
        return Error{ErrorCode::invalid_argument,
                     "raw mode does not support template, system, or context"};
    }
    if (!pattern.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "\"template\": another template for one request is not supported; send the "
                     "prompt as the model should see it, with \"raw\": true"};
    }
    const bool chat = !raw && suffix.empty() && !has_context;
    OllamaGeneration generation;
    put_common(fields, request, chat, generation, problem);
    if (raw) {
        put_raw(prompt, generation);
    } else if (!suffix.empty()) {
        put_infill(prompt, suffix, generation);
    } else {
        json::array messages;
        if (!system.empty()) {
            messages.emplace_back(json::object{{"role", "system"}, {"content", system}});
        }
        json::object user{{"role", "user"}};
        user["content"] = content_of(fields, prompt, problem);
        messages.emplace_back(std::move(user));
        generation.path = has_context ? "/v1/completions" : "/v1/chat/completions";
        generation.body["messages"] = std::move(messages);
        generation.wants_context = true;
    }
    const json::array* images = fields.array("images");
    if (!chat && images != nullptr && !images->empty()) {
        fields.complain("images", "cannot be combined with raw, suffix or context");
    }
    if (has_context) {
        if (!std::all_of(context->begin(), context->end(), [](const json::value& token) {
                return token.is_int64() && token.get_int64() >= 0;
            })) {
            fields.complain("context", "must be an array of tokens as an answer has it");
        }
        generation.context = *context;
    }
    return finished(std::move(generation), problem);
}

bool drop_oldest_message(json::object& body) {
    json::value* messages = body.if_contains("messages");
    if (messages == nullptr || !messages->is_array()) {
        return false;
    }
    json::array& list = messages->get_array();
    for (auto one = list.begin(); one != list.end() && std::next(one) != list.end(); ++one) {
        if (text_of(&*one, "role") != "system") {
            list.erase(one);
            return true;
        }
    }
    return false;
}

Result<OllamaEmbedding> ollama_embed(OllamaCall call, const json::object& request) {
    Problem problem;
    const FieldReader fields(request, problem);
    OllamaEmbedding embedding;
    const std::string_view name = call == OllamaCall::embed ? "input" : "prompt";
    const json::value* input = fields.any(name);
    if (call == OllamaCall::embeddings || (input != nullptr && input->is_string())) {
        embedding.input.emplace_back(fields.text(name).value_or(""));
    } else if (const json::array* texts = fields.array(name)) {
        for (std::size_t i = 0; i < texts->size(); ++i) {
            const json::string* text = (*texts)[i].if_string();
            if (text == nullptr) {
                fields.complain(indexed(name, i), "must be a string");
                break;
            }
            embedding.input.emplace_back(view(*text));
        }
    }
    embedding.truncate = fields.flag("truncate").value_or(true);
    const std::int64_t dimensions = fields.whole("dimensions").value_or(0);
    if (dimensions < 0) {
        fields.complain("dimensions", "must not be negative");
    }
    embedding.dimensions = static_cast<std::size_t>(std::max<std::int64_t>(dimensions, 0));
    json::object ignored;
    put_ollama_options(request, ignored, problem);
    if (problem.has_value()) {
        return *std::move(problem);
    }
    return embedding;
}

json::object embedding_body(const OllamaEmbedding& embedding) {
    json::array input;
    for (const std::string& text : embedding.input) {
        input.emplace_back(text);
    }
    return {{"input", std::move(input)}, {"encoding_format", "float"}};
}

}  // namespace drover::gateway::dialect
