#include "answers.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <utility>
#include <vector>

#include "http.hpp"

namespace drover::fake {

namespace {

constexpr int kPromptTokens = 11;

/// The text of token `index`, as the inside of a JSON string.
std::string token_text(int index, const Behaviour& behaviour) {
    if (!behaviour.say.empty()) {
        const std::string quoted = json_string(behaviour.say);
        return quoted.substr(1, quoted.size() - 2);
    }
    return (index == 0 ? "token" : " token") + std::to_string(index);
}

/// The log-probabilities of `count` tokens from `index` on, as a member; empty: none are told.
std::string logprobs(const GenerationRequest& request,
                     int index,
                     int count,
                     const Behaviour& behaviour) {
    if (!request.logprobs || behaviour.sure <= 0) {
        return "";
    }
    const double chosen = behaviour.sure / 100.0;
    const std::string other = std::to_string(std::log(std::max(1 - chosen, 1e-6) / 2));
    std::string tokens;
    for (int i = index; i < index + count; ++i) {
        const std::string odds = R"({"token":")" + token_text(i, behaviour) + R"(","logprob":)" +
                                 std::to_string(std::log(chosen));
        tokens += (i == index ? "" : ",") + odds + R"(,"top_logprobs":[)" + odds +
                  R"(},{"token":"other","logprob":)" + other + "}]}";
    }
    return R"(,"logprobs":{"content":[)" + tokens + "]}";
}

/// The member of a message or a delta that calls a tool.
std::string tool_calls(const Behaviour& behaviour) {
    return R"("tool_calls":[{"index":0,"id":"call-fake","type":"function","function":{"name":)" +
           json_string(behaviour.call) + R"(,"arguments":)" + json_string(behaviour.arguments) +
           "}}]";
}

std::string usage(int tokens) {
    return R"("usage":{"completion_tokens":)" + std::to_string(tokens) + R"(,"prompt_tokens":)" +
           std::to_string(kPromptTokens) + R"(,"total_tokens":)" +
           std::to_string(tokens + kPromptTokens) +
           R"(,"prompt_tokens_details":{"cached_tokens":0}},"timings":{"cache_n":0,"prompt_n":)" +
           std::to_string(kPromptTokens) +
           R"(,"prompt_ms":1.5,"prompt_per_token_ms":0.136,"prompt_per_second":7333.3,"predicted_n":)" +
           std::to_string(tokens) +
           R"(,"predicted_ms":1.0,"predicted_per_token_ms":0.1,"predicted_per_second":10000.0})";
}

/// Calls `each(text)` for every string of the array or the one string that `key` has.
template <typename Each>
void for_each_string(std::string_view json, std::string_view quoted_key, Each each) {
    std::size_t at = json.find(quoted_key);
    if (at == std::string_view::npos) {
        return;
    }
    at = json.find_first_of("[\"", at + quoted_key.size());
    const bool array = at != std::string_view::npos && json[at] == '[';
    at += array ? 1 : 0;
    while (at < json.size() && json[at] != ']') {
        if (json[at] != '"') {
            ++at;
            continue;
        }
        std::size_t end = at + 1;
        while (end < json.size() && json[end] != '"') {
            end += json[end] == '\\' ? 2 : 1;
        }
        each(json.substr(at + 1, end - at - 1));
        at = end + 1;
        if (!array) {
            return;
        }
    }
}

}  // namespace

GenerationRequest read_generation(Kind kind,
                                  std::string_view body,
                                  const Behaviour& behaviour,
                                  bool vllm) {
    GenerationRequest request{.kind = kind};
    request.stream = json_field(body, "\"stream\"") == "true";
    request.include_usage = request.stream && json_field(body, "\"include_usage\"") == "true";
    const std::string_view logprobs = json_field(body, "\"logprobs\"");
    const bool asked =
        !logprobs.empty() && logprobs != "false" && logprobs != "null" && logprobs != "0";
    request.logprobs = asked || !json_field(body, "\"n_probs\"").empty();
    request.contradicts = asked && request.stream && !json_field(body, "\"tools\"").empty();
    if (behaviour.tokens.has_value()) {
        request.tokens = *behaviour.tokens;
        return request;
    }
    for (const std::string_view key :
         {"\"max_tokens\"", "\"max_completion_tokens\"", "\"n_predict\""}) {
        const std::string_view value = json_field(body, key);
        if (!value.empty() && !(vllm && key == "\"n_predict\"")) {
            std::from_chars(value.data(), value.data() + value.size(), request.tokens);
            break;
        }
    }
    return request;
}

Answers::Answers(ModelInfo model) : model_(std::move(model)) {
    tail_ = R"("created":1700000000,"id":"chatcmpl-fake","model":)" + json_string(model_.alias) +
            R"(,"system_fingerprint":"b0-fake","object":")";
}

std::string Answers::frame(Kind kind, std::string_view choice, bool chunk) const {
    std::string body = R"({"choices":[)";
    body += choice;
    body += "],";
    body += tail_;
    if (kind == Kind::chat) {
        body += chunk ? "chat.completion.chunk\"" : "chat.completion\"";
    } else {
        body += "text_completion\"";
    }
    return body;
}

std::string Answers::generation(const GenerationRequest& request,
                                const Behaviour& behaviour) const {
    std::string text;
    for (int i = 0; i < request.tokens; ++i) {
        text += token_text(i, behaviour);
    }
    const std::string odds = logprobs(request, 0, request.tokens, behaviour);
    const std::string content = behaviour.call.empty()
                                    ? R"("content":")" + text + "\""
                                    : R"("content":null,)" + tool_calls(behaviour);
    const std::string choice =
        request.kind == Kind::chat
            ? R"({"finish_reason":"length","index":0,"message":{"role":"assistant",)" + content +
                  "}" + odds + "}"
            : R"({"text":")" + text + R"(","index":0)" +
                  (odds.empty() ? R"(,"logprobs":null)" : odds) + R"(,"finish_reason":"length"})";
    return frame(request.kind, choice, false) + "," + usage(request.tokens) + "}";
}

void Answers::append_generation(std::string& out,
                                const GenerationRequest& request,
                                const Behaviour& behaviour) {
    constexpr int kMadeMax = 512;
    if (!behaviour.say.empty() || !behaviour.call.empty() || request.logprobs ||
        request.tokens > kMadeMax) {
        const std::string body = generation(request, behaviour);
        append_head(out, 200, "application/json; charset=utf-8", body.size());
        out += body;
        return;
    }
    std::string& answer = made_[{request.kind, request.tokens}];
    if (answer.empty()) {
        const std::string body = generation(request, behaviour);
        append_head(answer, 200, "application/json; charset=utf-8", body.size());
        answer += body;
    }
    out += answer;
}

void Answers::append_first(std::string& out, Kind kind) const {
    if (kind == Kind::chat) {
        append_chunk(
            out,
            "data: " +
                frame(
                    kind,
                    R"({"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}})",
                    true) +
                "}\n\n");
    }
}

void Answers::append_token(std::string& out,
                           const GenerationRequest& request,
                           int index,
                           const Behaviour& behaviour) const {
    const std::string text = token_text(index, behaviour);
    const std::string odds = logprobs(request, index, 1, behaviour);
    const std::string delta = behaviour.call.empty() ? R"("content":")" + text + "\""
                              : index == 0           ? tool_calls(behaviour)
                                                     : "";
    const std::string choice =
        request.kind == Kind::chat
            ? R"({"finish_reason":null,"index":0,"delta":{)" + delta + "}" + odds + "}"
            : R"({"text":")" + text + R"(","index":0)" +
                  (odds.empty() ? R"(,"logprobs":null)" : odds) + R"(,"finish_reason":null})";
    append_chunk(out, "data: " + frame(request.kind, choice, true) + "}\n\n");
}

void Answers::append_last(std::string& out, const GenerationRequest& request) const {
    const char* choice = request.kind == Kind::chat
                             ? R"({"finish_reason":"length","index":0,"delta":{}})"
                             : R"({"text":"","index":0,"logprobs":null,"finish_reason":"length"})";
    append_chunk(out, "data: " + frame(request.kind, choice, true) + "}\n\n");
    if (request.include_usage) {
        append_chunk(
            out, "data: " + frame(request.kind, "", true) + "," + usage(request.tokens) + "}\n\n");
    }
    append_chunk(out, "data: [DONE]\n\n");
    append_chunk(out, "");
}

std::string Answers::embeddings(std::string_view body, const Behaviour& behaviour) const {
    std::string data;
    int index = 0;
    for_each_string(body, "\"input\"", [&](std::string_view text) {
        data += index == 0 ? "" : ",";
        data += R"({"object":"embedding","index":)" + std::to_string(index) + R"(,"embedding":[)";
        // Different texts get different vectors, the same text always the same.
        for (int i = 0; i < behaviour.dimensions; ++i) {
            const std::size_t letter = text.empty() ? 0 : static_cast<std::size_t>(i) % text.size();
            const int value =
                text.empty() ? 0 : static_cast<unsigned char>(text[letter]) * (i + 1) % 1000;
            data += i == 0 ? "0." : ",0.";
            data += std::to_string(1000 + value).substr(1);
        }
        data += "]}";
        ++index;
    });
    const std::string count = std::to_string(index * kPromptTokens);
    return R"({"model":)" + json_string(model_.alias) +
           R"(,"object":"list","usage":{"prompt_tokens":)" + count + R"(,"total_tokens":)" + count +
           R"(},"data":[)" + data + "]}";
}

std::string Answers::rerank(std::string_view body) const {
    std::string results;
    int index = 0;
    for_each_string(body, "\"documents\"", [&](std::string_view text) {
        results += index == 0 ? "" : ",";
        results += R"({"index":)" + std::to_string(index) + R"(,"relevance_score":)" +
                   std::to_string(1.0 / (1.0 + static_cast<double>(text.size()))) + "}";
        ++index;
    });
    return R"({"model":)" + json_string(model_.alias) +
           R"(,"object":"list","usage":{"prompt_tokens":11,"total_tokens":11},"results":[)" +
           results + "]}";
}

std::string Answers::score(std::string_view body) const {
    std::string data;
    int index = 0;
    for_each_string(body, "\"text_2\"", [&](std::string_view text) {
        data += index == 0 ? "" : ",";
        data += R"({"index":)" + std::to_string(index) + R"(,"object":"score","score":)" +
                std::to_string(1.0 / (1.0 + static_cast<double>(text.size()))) + "}";
        ++index;
    });
    return R"({"object":"list","model":)" + json_string(model_.alias) + R"(,"data":[)" + data +
           "]}";
}

std::string Answers::models() const {
    return R"({"object":"list","data":[{"id":)" + json_string(model_.alias) +
           R"(,"aliases":[],"tags":[],"object":"model","created":1700000000,"owned_by":"llamacpp",)" +
           R"("meta":{"vocab_type":2,"n_vocab":49152,"n_ctx":)" + std::to_string(model_.context) +
           R"(,"n_ctx_train":8192,"n_embd":576,"n_params":134515008,"size":96576768}}]})";
}

std::string Answers::props(bool sleeping) const {
    return R"({"default_generation_settings":{"n_ctx":)" + std::to_string(model_.context) +
           R"(},"total_slots":)" + std::to_string(model_.parallel) + R"(,"model_alias":)" +
           json_string(model_.alias) + R"(,"model_path":)" + json_string(model_.path) +
           R"(,"is_sleeping":)" + (sleeping ? "true" : "false") +
           R"(,"build_info":"b0-fake","chat_template":"fake"})";
}

std::string Answers::tokenize(std::string_view text) const {
    std::string tokens;
    int count = 0;
    bool in_word = false;
    for (const char c : text) {
        if (c != ' ' && !in_word) {
            ++count;
            tokens += (count == 1 ? "" : ",") + std::to_string(count);
        }
        in_word = c != ' ';
    }
    return R"({"tokens":[)" + tokens + "]}";
}

std::string Answers::slots(const Behaviour& behaviour) const {
    std::string list;
    for (int slot = 0; slot < model_.parallel; ++slot) {
        list += (slot == 0 ? "" : ",") + (R"({"id":)" + std::to_string(slot)) +
                R"(,"is_processing":false)";
        if (behaviour.slot_tokens > 0) {
            list += R"(,"id_task":1,"n_prompt_tokens":)" + std::to_string(behaviour.slot_tokens);
        }
        list += "}";
    }
    return "[" + list + "]";
}

std::string Answers::slot_action(std::string_view path,
                                 std::string_view query,
                                 std::string_view body,
                                 const Behaviour& behaviour) const {
    const std::string file = model_.slot_path + std::string(json_field(body, "\"filename\""));
    if (query.find("action=save") == std::string_view::npos) {
        return R"({"n_restored":)" + std::to_string(std::ifstream(file).good() ? 1 : 0) + "}";
    }
    constexpr std::uint32_t kMagic = 0x67677371;  // "ggsq"
    std::vector<std::uint32_t> words{kMagic, 3, static_cast<std::uint32_t>(behaviour.slot_tokens)};
    const auto slot = static_cast<std::uint32_t>(path.back() - '0');
    for (int i = 0; i < behaviour.slot_tokens; ++i) {
        words.push_back(slot * 1'000'000 + static_cast<std::uint32_t>(i));
    }
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(words.data()),
              static_cast<std::streamsize>(words.size() * sizeof(std::uint32_t)));
    constexpr std::size_t kTokenBytes = 16UL * 1024;  // less than the real model's
    out << std::string(kTokenBytes * static_cast<std::size_t>(behaviour.slot_tokens), '\0');
    return R"({"n_saved":)" + std::to_string(behaviour.slot_tokens) + "}";
}

std::string vllm_metrics(const Behaviour& behaviour) {
    const auto gauge = [](const char* name, const std::string& value) {
        return std::string("# TYPE vllm:") + name + " gauge\nvllm:" + name +
               "{engine=\"0\",model_name=\"fake\"} " + value + "\n";
    };
    return gauge("num_requests_running", std::to_string(behaviour.running) + ".0") +
           gauge("num_requests_waiting", std::to_string(behaviour.waiting) + ".0") +
           gauge("kv_cache_usage_perc", std::to_string(behaviour.cache_used / 100.0));
}

std::string llama_cpp_metrics(const Behaviour& behaviour) {
    const auto counter = [](const char* name, int value) {
        return std::string("# TYPE llamacpp:") + name + " counter\nllamacpp:" + name + " " +
               std::to_string(value) + "\n";
    };
    constexpr int kTokens = 1000;
    return behaviour.prompt_ms == 0 ? ""
                                    : counter("prompt_tokens_total", kTokens) +
                                          counter("prompt_seconds_total", behaviour.prompt_ms);
}

std::string error_body(int status, std::string_view message, std::string_view type) {
    return R"({"error":{"code":)" + std::to_string(status) + R"(,"message":)" +
           json_string(message) + R"(,"type":)" + json_string(type) + "}}";
}

}  // namespace drover::fake
