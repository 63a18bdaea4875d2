// The part of a session that answers requests which name a route: facts, decision, and one model
// after the other until one answers.
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/assert.hpp"
#include "gateway/classifier_exchange.hpp"
#include "gateway/dialect/chat_form.hpp"
#include "gateway/engine_kind.hpp"
#include "gateway/http_status.hpp"
#include "gateway/model_rewrite.hpp"
#include "gateway/ollama_exchange.hpp"
#include "gateway/route_explanation.hpp"
#include "gateway/session.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "router/facts.hpp"

namespace drover::gateway {

namespace asio = boost::asio;
namespace json = boost::json;
using platform::Task;

namespace {

/// What is read of a body before others get their turn on the loop.
constexpr std::size_t kSlice = 256 * 1024;

/// A request that is larger is not read as a document, which would hold up the loop.
constexpr std::size_t kFormMax = std::size_t{16} << 20;

/// Whether another model may do better: what is wrong lies with the model, not with the request.
bool is_models_fault(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument:  // of what this one takes: others have other endpoints
        case ErrorCode::not_found:
        case ErrorCode::overloaded:
        case ErrorCode::insufficient_memory:
        case ErrorCode::unavailable:
        case ErrorCode::timeout:
        case ErrorCode::engine_failed:
            return true;
        case ErrorCode::unauthorized:
        case ErrorCode::too_large:
        case ErrorCode::cancelled:
        case ErrorCode::io_error:
        case ErrorCode::internal:
            return false;
    }
    DROVER_UNREACHABLE();
}

/// The chat completion that is asked instead where a cascade judges the answer and the client's
/// own endpoint tells no log-probabilities; nullopt: there is none, or no need.
std::optional<json::object> judged_form(const NamedRoute& route,
                                        std::string_view path,
                                        std::string_view body) {
    if (!route.policy.cascade.has_value() || !dialect::has_chat_form(path) ||
        body.size() > kFormMax) {
        return std::nullopt;
    }
    auto form = dialect::chat_form(path, body);
    return form.ok() ? std::optional(std::move(*form)) : std::nullopt;
}

Error no_target(const NamedRoute& route, Need need, bool local_only) {
    std::string names;
    for (const std::string& name : route.policy.targets) {
        names += (names.empty() ? "" : ", ") + name;
    }
    return {ErrorCode::not_found,
            "none of the models of route '" + route.name + "' (" + names +
                ") is there and can do this" +
                (need == Need::embedding ? " (an embedding)"
                 : need == Need::rerank  ? " (a ranking)"
                                         : "") +
                (local_only ? " on this machine, which the request must not leave" : "") +
                "; see GET /admin/models"};
}

/// `reason` empty: somebody else says it. `id` empty: feedback has nothing to name.
std::string headers_of(const NamedRoute& route, std::string_view reason, std::string_view id) {
    std::string headers = "x-drover-route: ";
    append_header_value(headers, route.name);
    if (!reason.empty()) {
        headers += "\r\nx-drover-reason: ";
        append_header_value(headers, reason);
    }
    if (!id.empty()) {
        headers.append("\r\nx-drover-id: ").append(id);
    }
    return headers + "\r\n";
}

void add_model_header(Reply& reply, std::string_view model) {
    reply.headers += "x-drover-model: ";
    append_header_value(reply.headers, model);
    reply.headers += "\r\n";
}

}  // namespace

Task<router::RequestFacts> Session::read_facts(std::string_view body, std::string_view path) {
    router::FactsReader reader;
    while (!body.empty()) {
        const std::string_view slice = body.substr(0, kSlice);
        body.remove_prefix(slice.size());
        reader.put(slice);
        if (!body.empty()) {
            co_await asio::post(co_await asio::this_coro::executor, platform::as_result);
        }
    }
    router::RequestFacts facts = reader.finish();
    facts.endpoint = endpoint_kind(path);
    facts.path = path;
    facts.headers = head_.kept;
    facts.tells_logprobs = dialect::tells_logprobs(path);
    co_return facts;
}

/// What is read of a body only where it matters: a server with replicas keeps conversations apart.
Task<std::uint64_t> Session::affinity_of(ModelId model, const json::object* document) {
    const control::ModelView* view = context_.fleet.look(model);
    if (view == nullptr || view->servers.size() < 2) {
        co_return 0;
    }
    const std::string text = document != nullptr ? json::serialize(*document) : std::string();
    const router::RequestFacts facts =
        co_await read_facts(document != nullptr ? text : body_, head_.path);
    co_return facts.conversation;
}

Task<Choice> Session::choose(const NamedRoute& named,
                             const router::RequestFacts& facts,
                             std::string_view path,
                             bool local_only) {
    const Need need = need_of(path);
    router::Classifications asked;
    Choice choice = context_.routes.decide(named, facts, need, context_.fleet, local_only, asked);
    while (choice.decision.asks.has_value() && !client_.gone()) {
        const bool of_task = *choice.decision.asks == router::Purpose::task;
        const router::Classifier& classifier =
            of_task ? *named.policy.task->classifier : *named.policy.complexity->classifier;
        auto said = co_await classify(named, classifier, facts.text, local_only);
        (of_task ? asked.task : asked.complexity) = std::move(said);
        choice = context_.routes.decide(named, facts, need, context_.fleet, local_only, asked);
    }
    co_return choice;
}

Task<router::Classification> Session::classify(const NamedRoute& named,
                                               const router::Classifier& classifier,
                                               std::string_view text,
                                               bool local_only) {
    router::Classification said;
    said.prediction = context_.routes.recall(named, classifier, text);
    said.cached = said.prediction.has_value();
    if (said.cached) {
        co_return said;
    }
    if (!context_.routes.circuits().may_ask(classifier, platform::now())) {
        said.failure = "it took too long several times, and is left alone for a while";
        co_return said;
    }
    const ClassifierQuestion question{
        .head = head_, .classifier = classifier, .text = text, .local_only = local_only};
    said = co_await ask_classifier(context_.fleet, turn_, question);
    if (client_.gone()) {
        co_return said;
    }
    context_.routes.circuits().note(classifier, said, platform::now());
    if (said.prediction.has_value()) {
        context_.routes.keep(named, classifier, text, *said.prediction);
    } else if (!classifier.embeds() || said.took >= classifier.timeout) {
        // That a model which embeds is not in memory is no news.
        platform::log::info(
            "routing.classifier_silent",
            {{"route", named.name}, {"model", classifier.model}, {"cause", said.failure}});
    }
    co_return said;
}

std::optional<Session::Wording> Session::word(const RoutedTries& tries,
                                              const router::RequestFacts& facts,
                                              std::optional<json::object>& chat) {
    const bool judged = tries.is_judged();
    const bool llama_server = has_llama_server(context_.fleet, tries.model());
    if (judged && chat.has_value()) {
        (*chat)["model"] = valid_utf8(model_);
        json::object asking = *chat;
        dialect::ask_for_logprobs(asking, dialect::kChatPath, llama_server);
        return Wording{.body = json::serialize(asking),
                       .path = dialect::kChatPath,
                       .translator = dialect::answer_from_chat(
                           head_.path, body_, model_, platform::wall_clock_ms() / 1000)};
    }
    auto body = route_->model_from == ModelFrom::form
                    ? with_model_in_form(head_.content_type, body_, model_)
                    : with_model(body_, model_);
    if (!body.has_value()) {
        return std::nullopt;
    }
    if (judged && !facts.logprobs) {
        const auto fields = fields_reader_.finish();
        const bool streams = fields.ok() && (*fields)->stream;
        body = dialect::with_logprobs(
            *body, head_.path, dialect::logprobs_member(llama_server, streams, facts.tools));
    }
    return Wording{.body = *std::move(body)};
}

Task<> Session::forward_routed(const Route& route, const NamedRoute& named) {
    client_.watch();
    router::RequestFacts facts = co_await read_facts(body_, head_.path);
    std::optional<json::object> chat = judged_form(named, head_.path, body_);
    facts.tells_logprobs = facts.tells_logprobs || chat.has_value();
    const AskModel ask = [this, &chat](const Asking& asking) {
        return ask_engine(asking, chat);
    };
    co_await try_models(route, named, facts, ask);
}

Task<Session::Attempt> Session::ask_engine(const Asking& asking,
                                           std::optional<json::object>& chat) {
    const auto wording = word(asking.tries, asking.facts, chat);
    if (!wording.has_value()) {
        co_return Attempt{.end = Attempt::End::unaskable};
    }
    const Turn::Asked asked{.head = head_,
                            .body = wording->body,
                            .model = asking.tries.model(),
                            .acquire = asking.acquire,
                            .may_load = true,
                            .dialect = route_->dialect,
                            .path = wording->path,
                            .translator = wording->translator.get(),
                            .headers = asking.headers,
                            .holds_errors = true,
                            .watched = asking.tries.watched(),
                            .verdict_within = asking.tries.verdict_within()};
    const Status status = co_await turn_.run(asked);
    if (!status.ok()) {
        co_return Attempt{.end = Attempt::End::failed,
                          .reply = error_reply(route_->dialect, status.error()),
                          .error = status.error().code};
    }
    if (auto refusal = turn_.refusal(); refusal.has_value()) {
        co_return Attempt{.end = Attempt::End::refused,
                          .reply = std::move(refusal),
                          .too_long = turn_.too_long()};
    }
    if (turn_.withheld()) {
        co_return Attempt{.end = Attempt::End::weak};
    }
    co_return Attempt{.end = Attempt::End::answered,
                      .status = turn_.status(),
                      .client_keeps_alive = turn_.client_keeps_alive()};
}

Task<> Session::answer_ollama_routed(const Route& route,
                                     const NamedRoute& named,
                                     dialect::OllamaCall call,
                                     const json::object& request,
                                     dialect::Instant asked_at) {
    client_.watch();
    const std::string document = json::serialize(request);
    router::RequestFacts facts = co_await read_facts(document, head_.path);
    const json::value* suffix = request.if_contains("suffix");
    if (suffix != nullptr && suffix->is_string() && !suffix->get_string().empty()) {
        facts.tells_logprobs = false;  // the engine's /infill does not
    }
    const AskModel ask = [&, this](const Asking& asking) {
        return ask_ollama(asking, named.name, call, request, asked_at);
    };
    co_await try_models(route, named, facts, ask);
}

Task<Session::Attempt> Session::ask_ollama(const Asking& asking,
                                           std::string_view name,
                                           dialect::OllamaCall call,
                                           const json::object& request,
                                           dialect::Instant asked_at) {
    const std::optional<json::object> own = completed(asking.tries.model(), call, request);
    OllamaExchange::Asked asked{.head = head_,
                                .call = call,
                                .request = own.has_value() ? *own : request,
                                .model = asking.tries.model(),
                                .name = std::string(name),
                                .acquire = asking.acquire,
                                .since = asked_at,
                                .headers = std::string(asking.headers),
                                .watched = asking.tries.watched(),
                                .verdict_within = asking.tries.verdict_within()};
    OllamaExchange exchange(context_.fleet, turn_, client_, std::move(asked));
    auto outcome = co_await exchange.run();
    if (outcome.withheld) {
        co_return Attempt{.end = Attempt::End::weak};
    }
    if (!outcome.reply.has_value()) {
        co_return Attempt{.end = Attempt::End::answered,
                          .status = outcome.status,
                          .client_keeps_alive = outcome.client_keeps_alive};
    }
    const unsigned status = outcome.reply->status;
    co_return Attempt{.end = status < kHttpBadRequest        ? Attempt::End::answered
                             : status == kHttpGatewayTimeout ? Attempt::End::failed
                                                             : Attempt::End::refused,
                      .reply = std::move(outcome.reply),
                      .error = ErrorCode::timeout};
}

Task<> Session::try_models(const Route& route,
                           const NamedRoute& named,
                           const router::RequestFacts& facts,
                           const AskModel& ask) {
    control::AcquireOptions acquire = acquire_options(route);
    acquire.local_only = acquire.local_only || named.local_only;
    acquire.affinity = facts.conversation;
    const Choice choice = co_await choose(named, facts, head_.path, acquire.local_only);
    const std::string id = context_.routing_log.on() ? context_.routing_log.next_id() : "";
    RoutedTries tries(named, facts, choice, context_.fleet);
    // What the client gets if no model does better; unset: it has its answer already.
    std::optional<Reply> answer =
        error_reply(route.dialect, no_target(named, need_of(head_.path), acquire.local_only));
    bool goes_on = true;
    while (goes_on && !client_.gone() && tries.next()) {
        model_ = context_.fleet.name(tries.model());
        // Of an answer that is judged the verdict is the reason.
        const bool judged = tries.is_judged();
        const std::string headers = headers_of(named, judged ? "" : tries.reason(), id) + cors_;
        const TimePoint began = platform::now();
        const Asking asking{.facts = facts, .tries = tries, .acquire = acquire, .headers = headers};
        Attempt attempt = co_await ask(asking);
        if (client_.gone()) {
            break;
        }
        switch (attempt.end) {
            case Attempt::End::answered:
                tries.served(platform::since(began));
                context_.routes.remember(named, facts, tries.target(), choice.decision);
                answer = std::move(attempt.reply);
                goes_on = false;
                if (!answer.has_value()) {
                    status_ = attempt.status;
                    keep_alive_ = keep_alive_ && attempt.client_keeps_alive;
                }
                break;
            case Attempt::End::weak:
                tries.was_weak(platform::since(began));
                continue;
            case Attempt::End::refused:
                answer = std::move(attempt.reply);
                tries.refused(answer->status, attempt.too_long);
                break;
            case Attempt::End::failed:
                answer = std::move(attempt.reply);
                tries.failed(attempt.error);
                goes_on = is_models_fault(attempt.error);
                break;
            case Attempt::End::unaskable:
                goes_on = false;
                continue;
        }
        if (answer.has_value()) {
            add_model_header(*answer, model_);
        }
    }
    if (answer.has_value() && !client_.gone()) {
        answer->headers += headers_of(named, tries.reason(), id);
        co_await reply(*std::move(answer));
    }
    note_routed(named, facts, choice, tries, id);
}

void Session::note_routed(const NamedRoute& named,
                          const router::RequestFacts& facts,
                          const Choice& choice,
                          const RoutedTries& tries,
                          std::string_view id) {
    route_name_ = named.name;
    reason_ = tries.reason();
    context_.routing_log.add({.id = id,
                              .route = named.name,
                              .model = model_,
                              .reason = reason_,
                              .policy = named.policy,
                              .facts = facts,
                              .decision = choice.decision,
                              .checks = tries.checks(),
                              .status = client_.gone() ? 0 : status_,
                              .took = platform::since(began_)});
}

Reply Session::take_feedback(const Route& route) {
    const auto fields = fields_reader_.finish();
    if (!fields.ok()) {
        return error_reply(route.dialect, fields.error());
    }
    const auto judged = context_.routing_log.take_feedback(document_.take());
    if (!judged.ok()) {
        return error_reply(route.dialect, judged.error());
    }
    switch (*judged) {
        case Judged::taken:
            return {.body = R"({"status":"ok"})"};
        case Judged::unknown_answer:
            return refusal_reply(route.dialect,
                                 Refusal::unknown_answer,
                                 "there is no such answer among the last 4,096",
                                 "id");
        case Judged::enough:
            return refusal_reply(route.dialect,
                                 Refusal::judged_enough,
                                 "this answer has been judged four times",
                                 "id");
    }
    DROVER_UNREACHABLE();
}

Task<> Session::explain_route(const Route& route) {
    const auto fields = fields_reader_.finish();
    if (!fields.ok()) {
        co_return co_await reply(error_reply(route.dialect, fields.error()));
    }
    const std::string asked = query_value(head_.query, "path");
    const std::string path = asked.empty() ? "/v1/chat/completions" : asked;
    if (!can_be_routed(path)) {
        const Error error{ErrorCode::invalid_argument,
                          "?path=" + path + " is no endpoint whose requests may name a route"};
        co_return co_await reply(error_reply(route.dialect, error));
    }
    const NamedRoute* named = context_.routes.find((*fields)->model);
    if (named == nullptr) {
        const auto model = find_model(route, (*fields)->model);
        if (!model.ok()) {
            co_return co_await reply(error_reply(route.dialect, model.error()));
        }
        const json::object plain{{"route", nullptr},
                                 {"models", json::array{valid_utf8(context_.fleet.name(*model))}},
                                 {"reason", "the request names a model"}};
        Reply direct{.body = json::serialize(plain)};
        co_return co_await reply(std::move(direct));
    }
    router::RequestFacts facts = co_await read_facts(body_, path);
    facts.tells_logprobs = facts.tells_logprobs || judged_form(*named, path, body_).has_value();
    const TimePoint began = platform::now();
    const bool local_only = acquire_options(route).local_only || named->local_only;
    client_.watch();
    const Choice choice = co_await choose(*named, facts, path, local_only);
    if (client_.gone()) {
        co_return;
    }
    const auto took = platform::now() - began;
    json::object result = explanation_of(*named, facts, choice);
    result.emplace("decided_us",
                   std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    Reply answer{.body = json::serialize(result)};
    co_await reply(std::move(answer));
}

std::vector<control::ModelView> Session::listed_models() const {
    std::vector<control::ModelView> models = context_.fleet.models();
    for (control::ModelView& route : context_.routes.views(context_.fleet)) {
        models.push_back(std::move(route));
    }
    return models;
}

}  // namespace drover::gateway
