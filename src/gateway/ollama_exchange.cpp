#include "gateway/ollama_exchange.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"
#include "gateway/dialect/vllm_request.hpp"
#include "gateway/engine_kind.hpp"
#include "gateway/http_status.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

namespace json = boost::json;
using dialect::OllamaCall;
using dialect::OllamaEmbedding;
using dialect::OllamaGeneration;
using platform::Task;

namespace {

dialect::Instant instant() {
    return {.monotonic = platform::now(), .wall_ms = platform::wall_clock_ms()};
}

dialect::OllamaAnswer::Terms terms_of(const OllamaExchange::Asked& asked) {
    const json::value* stream = asked.request.if_contains("stream");
    const json::value* top = asked.request.if_contains("top_logprobs");
    return {.call = asked.call,
            .model = asked.name,
            .stream = stream == nullptr || !stream->is_bool() || stream->get_bool(),
            .top_logprobs = top != nullptr && top->is_int64() && top->get_int64() > 0,
            .asked = asked.since};
}

std::string complaint_of(std::string_view body) {
    json::error_code failure;
    const json::value answer = json::parse(body, failure);
    const json::value* error = failure ? nullptr : dialect::member_of(&answer, "error");
    const std::string_view text = dialect::text_of(error, "message");
    return std::string(text.empty() ? body : text);
}

std::string_view verb_of(OllamaCall call) {
    return call == OllamaCall::chat ? "chat" : "generate";
}

/// What of a chat a model's template makes a prompt of.
json::object templated(const OllamaGeneration& generation) {
    json::object body;
    for (const std::string_view name : {"messages", "tools", "chat_template_kwargs"}) {
        if (const json::value* member = generation.body.if_contains(name)) {
            body[name] = *member;
        }
    }
    return body;
}

}  // namespace

OllamaExchange::OllamaExchange(const control::Fleet& fleet,
                               Turn& turn,
                               ClientConnection& client,
                               Asked asked)
    : fleet_(fleet),
      turn_(turn),
      client_(client),
      asked_(std::move(asked)),
      answer_(terms_of(asked_), instant) {}

std::string OllamaExchange::unloaded(OllamaCall call, std::string_view name) {
    return dialect::OllamaAnswer({.call = call, .model = std::string(name)}, instant)
        .nothing("unload");
}

Task<OllamaExchange::Outcome> OllamaExchange::run() {
    if (asked_.call == OllamaCall::embed || asked_.call == OllamaCall::embeddings) {
        auto embedding = dialect::ollama_embed(asked_.call, asked_.request);
        if (!embedding.ok()) {
            co_return failed(embedding.error());
        }
        if (dialect::is_empty(asked_.call, asked_.request)) {
            co_return co_await load();
        }
        co_return co_await embed(*std::move(embedding));
    }
    auto generation = asked_.call == OllamaCall::chat ? dialect::ollama_chat(asked_.request)
                                                      : dialect::ollama_generate(asked_.request);
    if (!generation.ok()) {
        co_return failed(generation.error());
    }
    if (auto refused = objection(&*generation); refused.has_value()) {
        co_return Outcome{.reply = std::move(refused)};
    }
    if (dialect::is_empty(asked_.call, asked_.request)) {
        co_return co_await load();
    }
    co_return co_await generate(*std::move(generation));
}

std::optional<Reply> OllamaExchange::objection(const OllamaGeneration* generation) const {
    const control::ModelView* model = fleet_.look(asked_.model);
    if (model == nullptr) {
        return std::nullopt;  // broken: the lease is refused with the reason
    }
    const auto can = [&](std::string_view what) {
        return std::find(model->capabilities.begin(), model->capabilities.end(), what) !=
               model->capabilities.end();
    };
    std::string_view lacks;
    if (!can("completion")) {
        lacks = verb_of(asked_.call);
    } else if (generation->path == dialect::kInfillPath && on_vllm()) {
        lacks = "insert";
    } else if (generation->thinks && !can("thinking")) {
        lacks = "thinking";
    } else {
        return std::nullopt;
    }
    return error_reply(Dialect::ollama,
                       {ErrorCode::invalid_argument,
                        "\"" + asked_.name + "\" does not support " + std::string(lacks)});
}

OllamaExchange::Outcome OllamaExchange::failed(const Status& status) const {
    return {.reply = error_reply(Dialect::ollama, status.error())};
}

Reply OllamaExchange::engine_reply(unsigned status, std::string_view body) const {
    const std::string complaint = complaint_of(body);
    const auto mentions = [&](std::string_view word) {
        return complaint.find(word) != std::string::npos;
    };
    if (status != kHttpNotImplemented && !mentions("not supported")) {
        Reply reply = error_reply(Dialect::ollama, {ErrorCode::engine_failed, complaint});
        reply.status = status;
        return reply;
    }
    const std::string what = mentions("Infill")       ? "insert"
                             : mentions("embeddings") ? "embeddings: its task is to generate"
                             : mentions("image")      ? "images"
                                                      : "this: " + complaint;
    return error_reply(
        Dialect::ollama,
        {ErrorCode::invalid_argument, "\"" + asked_.name + "\" does not support " + what});
}

// ---- requests to the engine ----

bool OllamaExchange::on_vllm() const {
    return has_vllm(fleet_, asked_.model);
}

Task<Status> OllamaExchange::send(std::string_view path,
                                  const json::object& body,
                                  TranslatedRelay& relay) {
    body_ = json::serialize(body);
    const Turn::Asked asked{
        .head = asked_.head,
        .body = body_,
        .model = asked_.model,
        .acquire = asked_.acquire,
        .dialect = Dialect::ollama,
        .path = path,
        .relay = &relay,
        .headers = asked_.headers,
        .keeps_lease = true,
        .watched = relay.translates() ? asked_.watched : nullptr,
        .verdict_within = relay.translates() ? asked_.verdict_within : std::nullopt};
    Status status = co_await turn_.run(asked);
    if (status.ok() && client_.gone()) {
        status = Error{ErrorCode::cancelled, "the client left"};
    }
    co_return status;
}

Task<Result<json::value>> OllamaExchange::query(std::string_view path, json::object body) {
    TranslatedRelay relay;
    const Status status = co_await send(path, body, relay);
    if (!status.ok()) {
        co_return status.error();
    }
    json::error_code failure;
    json::value answer = json::parse(relay.body(), failure);
    if (relay.status() != kHttpOk || failure) {
        co_return Error{ErrorCode::engine_failed, complaint_of(relay.body())};
    }
    co_return answer;
}

/// The prompt that the model's template makes of a chat.
Task<Result<std::string>> OllamaExchange::render(const OllamaGeneration& generation) {
    json::object body = templated(generation);
    if (on_vllm()) {
        auto tokens = co_await tokenise(std::move(body));
        if (!tokens.ok()) {
            co_return tokens.error();
        }
        co_return co_await detokenise(*std::move(tokens));
    }
    const auto answer = co_await query("/apply-template", std::move(body));
    if (!answer.ok()) {
        co_return answer.error();
    }
    co_return std::string(dialect::text_of(&*answer, "prompt"));
}

/// The conversation so far as tokens: that of an earlier answer, the prompt, and `answer`.
Task<Result<json::array>> OllamaExchange::tokens_of(const OllamaGeneration& generation,
                                                    std::string answer) {
    json::array before = generation.context.value_or(json::array());
    if (!on_vllm()) {
        const auto rendered = co_await render(generation);
        if (!rendered.ok()) {
            co_return rendered.error();
        }
        before.emplace_back(*rendered + answer);
        json::object body{{"content", std::move(before)}};
        co_return co_await tokenise(std::move(body));
    }
    json::object said{{"prompt", answer}, {"add_special_tokens", false}};
    std::vector<json::object> parts{templated(generation)};
    if (!answer.empty()) {
        parts.push_back(std::move(said));
    }
    for (json::object& part : parts) {
        const auto tokens = co_await tokenise(std::move(part));
        if (!tokens.ok()) {
            co_return tokens.error();
        }
        before.insert(before.end(), tokens->begin(), tokens->end());
    }
    co_return before;
}

Task<Result<json::array>> OllamaExchange::tokenise(json::object body) {
    const auto answer = co_await query("/tokenize", std::move(body));
    if (!answer.ok()) {
        co_return answer.error();
    }
    const json::value* tokens = dialect::member_of(&*answer, "tokens");
    if (tokens == nullptr || !tokens->is_array()) {
        co_return Error{ErrorCode::engine_failed, "the engine's tokens are no list"};
    }
    co_return tokens->get_array();
}

Task<Result<std::string>> OllamaExchange::detokenise(json::array tokens) {
    json::object body{{"tokens", std::move(tokens)}};
    const auto answer = co_await query("/detokenize", std::move(body));
    if (!answer.ok()) {
        co_return answer.error();
    }
    co_return std::string(dialect::text_of(&*answer, on_vllm() ? "prompt" : "content"));
}

// ---- generations ----

Task<OllamaExchange::Outcome> OllamaExchange::load() {
    const Turn::Asked asked{.head = asked_.head,
                            .body = {},
                            .model = asked_.model,
                            .acquire = asked_.acquire,
                            .dialect = Dialect::ollama};
    const Status status = co_await turn_.hold(asked);
    if (!status.ok()) {
        co_return failed(status);
    }
    switch (asked_.call) {
        case OllamaCall::chat:
        case OllamaCall::generate:
            co_return Outcome{.reply = Reply{.body = answer_.nothing("load")}};
        case OllamaCall::embed:
            co_return Outcome{
                .reply = Reply{.body = json::serialize(json::object{
                                   {"model", asked_.name}, {"embeddings", json::array()}})}};
        case OllamaCall::embeddings:
            co_return Outcome{.reply = Reply{.body = json::serialize(
                                                 json::object{{"embedding", json::array()}})}};
    }
    DROVER_UNREACHABLE();
}

Task<OllamaExchange::Outcome> OllamaExchange::generate(OllamaGeneration generation) {
    if (generation.debug_render) {
        co_return co_await show_prompt(generation);
    }
    if (generation.context.has_value()) {
        const Status status = co_await continue_context(generation);
        if (!status.ok()) {
            co_return failed(status);
        }
    }
    co_return co_await stream(generation);
}

Task<OllamaExchange::Outcome> OllamaExchange::show_prompt(const OllamaGeneration& generation) {
    std::string prompt(dialect::text_of(nullptr, ""));
    if (generation.body.contains("messages")) {
        const auto rendered = co_await render(generation);
        if (!rendered.ok()) {
            co_return failed(rendered.error());
        }
        prompt = *rendered;
    } else if (const json::value* raw = generation.body.if_contains("prompt")) {
        prompt = raw->is_string() ? std::string(dialect::view(raw->get_string())) : "";
    }
    co_return Outcome{.reply = Reply{.body = answer_.rendered(prompt)}};
}

Task<Status> OllamaExchange::continue_context(OllamaGeneration& generation) {
    auto prompt = co_await tokens_of(generation, "");
    if (!prompt.ok()) {
        co_return prompt.error();
    }
    generation.body["prompt"] = *std::move(prompt);
    co_return Status();
}

Task<Status> OllamaExchange::send_generation(const OllamaGeneration& generation,
                                             TranslatedRelay& relay) {
    if (!on_vllm()) {
        co_return co_await send(generation.path, generation.body, relay);
    }
    const json::object body =
        dialect::vllm_body(generation.body, fleet_.look(asked_.model)->context);
    co_return co_await send(generation.path, body, relay);
}

Task<Status> OllamaExchange::send_fitting(OllamaGeneration& generation, TranslatedRelay& relay) {
    for (;;) {
        Status status = co_await send_generation(generation, relay);
        if (!status.ok() || relay.status() == kHttpOk || !generation.truncate ||
            !dialect::is_too_long(relay.body()) || !dialect::drop_oldest_message(generation.body)) {
            co_return status;
        }
    }
}

Task<OllamaExchange::Outcome> OllamaExchange::stream(OllamaGeneration& generation) {
    dialect::WatchedAnswer* const watched = asked_.watched;
    const auto begin = [this, watched] {
        answer_ = dialect::OllamaAnswer(terms_of(asked_), instant);
        if (watched != nullptr) {
            watched->start(true);
        }
    };
    const auto translate = [this, watched](std::string_view piece, std::string& out) {
        answer_.loaded(turn_.times().leased);
        passed_.clear();
        if (watched != nullptr) {
            watched->put(piece, passed_);
        }
        answer_.put(watched != nullptr ? std::string_view(passed_) : piece, out);
    };
    TranslatedRelay relay(translate, begin);
    if (watched != nullptr) {
        dialect::ask_for_logprobs(
            generation.body, generation.path, has_llama_server(fleet_, asked_.model));
    }
    const Status status = co_await send_fitting(generation, relay);
    Outcome outcome{.status = relay.status()};
    if (!status.ok()) {
        co_return failed(status);
    }
    std::string rest;
    if (watched != nullptr && relay.status() == kHttpOk) {
        passed_.clear();
        watched->end(passed_);
        answer_.put(passed_, rest);
        outcome.withheld = watched->withheld();
    }
    if (outcome.withheld) {
        co_return outcome;
    }
    outcome.client_keeps_alive = relay.client_keeps_alive();
    if (relay.ended()) {
        co_return outcome;  // with an error in its last line
    }
    if (relay.status() != kHttpOk) {
        outcome.reply = engine_reply(relay.status(), relay.body());
        co_return outcome;
    }
    if (!answer_.error().empty() && !relay.begun()) {
        co_return failed(Error{ErrorCode::engine_failed, answer_.error()});
    }
    std::string last = dialect::OllamaAnswer::error_line(answer_.error());
    if (answer_.error().empty()) {
        auto context = co_await context_after(generation, answer_.text());
        last = answer_.finish(std::move(context));
    }
    if (!generation.stream) {
        outcome.reply = Reply{.body = std::move(last)};
        co_return outcome;
    }
    turn_.release();  // before a slow client has taken the last bytes
    relay.finish(rest + last);
    if (!client_.send(relay.output())) {
        co_await client_.flush();
    }
    co_return outcome;
}

Task<std::optional<json::array>> OllamaExchange::context_after(const OllamaGeneration& generation,
                                                               std::string text) {
    if (!generation.wants_context) {
        co_return std::nullopt;
    }
    auto tokens = co_await tokens_of(generation, std::move(text));
    if (!tokens.ok()) {
        co_return std::nullopt;
    }
    co_return *std::move(tokens);
}

// ---- embeddings ----

Task<OllamaExchange::Outcome> OllamaExchange::embed(OllamaEmbedding embedding) {
    TranslatedRelay relay;
    bool shortened = false;
    for (;;) {
        json::object body = dialect::embedding_body(embedding);
        if (on_vllm()) {
            body = dialect::vllm_embedding_body(std::move(body), embedding.truncate);
        }
        const Status status = co_await send("/v1/embeddings", body, relay);
        if (!status.ok()) {
            co_return failed(status);
        }
        if (relay.status() == kHttpOk) {
            break;
        }
        const bool too_long = dialect::is_too_long(relay.body());
        if (!too_long) {
            co_return Outcome{.reply = engine_reply(relay.status(), relay.body())};
        }
        if (shortened || !embedding.truncate || on_vllm()) {
            co_return failed(
                Error{ErrorCode::invalid_argument, "the input length exceeds the context length"});
        }
        const Status cut = co_await shorten(embedding);
        if (!cut.ok()) {
            co_return failed(cut);
        }
        shortened = true;
    }
    auto vectors = dialect::read_embeddings(relay.body());
    if (!vectors.ok()) {
        co_return failed(vectors.error());
    }
    if (asked_.call == OllamaCall::embeddings) {
        co_return Outcome{.reply = Reply{.body = dialect::ollama_embeddings_answer(*vectors)}};
    }
    dialect::scale(*vectors, embedding.dimensions);
    const TimePoint asked = asked_.since.monotonic;
    co_return Outcome{
        .reply = Reply{
            .body = dialect::ollama_embed_answer(
                asked_.name, *vectors, platform::now() - asked, turn_.times().leased - asked)}};
}

Task<Status> OllamaExchange::shorten(OllamaEmbedding& embedding) {
    // Tokens that the engine puts around a text (CLS and SEP, or BOS and EOS).
    constexpr std::size_t kSpecialTokens = 2;
    const control::ModelView* model = fleet_.look(asked_.model);
    const std::size_t context = model == nullptr ? 0 : model->context;
    const std::size_t limit = context > kSpecialTokens ? context - kSpecialTokens : 0;
    for (std::string& text : embedding.input) {
        json::object question{{"content", text}};
        auto tokens = co_await tokenise(std::move(question));
        if (!tokens.ok()) {
            co_return tokens.error();
        }
        if (tokens->size() <= limit) {
            continue;
        }
        tokens->resize(limit);
        auto shorter = co_await detokenise(*std::move(tokens));
        if (!shorter.ok()) {
            co_return shorter.error();
        }
        text = *std::move(shorter);
    }
    co_return Status();
}

}  // namespace drover::gateway
