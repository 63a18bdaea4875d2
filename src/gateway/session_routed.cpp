// The part of a session that answers requests which name a route: facts, decision, and one model
// after the other until one answers.
#include <algorithm>
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
#include "gateway/model_rewrite.hpp"
#include "gateway/ollama_exchange.hpp"
#include "gateway/session.hpp"
#include "platform/clock.hpp"
#include "router/facts.hpp"

namespace drover::gateway {

namespace asio = boost::asio;
namespace json = boost::json;
using platform::Task;

namespace {

/// What is read of a body before others get their turn on the loop.
constexpr std::size_t kSlice = 256 * 1024;

constexpr unsigned kClientErrors = 400;
constexpr unsigned kServerErrors = 500;
constexpr unsigned kTooManyRequests = 429;

/// Whether another model may do better: what is wrong lies with the model, not with the request.
bool is_models_fault(ErrorCode code) {
    switch (code) {
        case ErrorCode::not_found:
        case ErrorCode::overloaded:
        case ErrorCode::insufficient_memory:
        case ErrorCode::unavailable:
        case ErrorCode::timeout:
        case ErrorCode::engine_failed:
            return true;
        case ErrorCode::invalid_argument:
        case ErrorCode::unauthorized:
        case ErrorCode::too_large:
        case ErrorCode::cancelled:
        case ErrorCode::io_error:
        case ErrorCode::internal:
            return false;
    }
    DROVER_UNREACHABLE();
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

std::string headers_of(const NamedRoute& route, const std::string& reason) {
    std::string headers = "x-drover-route: ";
    append_header_value(headers, route.name);
    headers += "\r\nx-drover-reason: ";
    append_header_value(headers, reason);
    return headers + "\r\n";
}

json::object task_of(const router::Policy& policy, const router::Prediction& prediction) {
    const std::vector<std::string>& labels = policy.task->predictor->facts().labels;
    json::object probabilities;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        probabilities.emplace(labels[i], prediction.probabilities[i]);
    }
    return {{"label", labels[prediction.label]},
            {"confidence", prediction.confidence},
            {"needed", policy.task->confidence},
            {"probabilities", std::move(probabilities)}};
}

json::object complexity_of(const router::Policy& policy, const router::Prediction& prediction) {
    return {{"score", prediction.score},
            {"threshold", std::clamp(policy.complexity->threshold, -1.0, 1.0)},
            {"weak_right", prediction.probabilities[0]},
            {"strong_right", prediction.probabilities[1]},
            {"only_strong_right", prediction.confidence}};
}

json::object explanation(const NamedRoute& route,
                         const router::RequestFacts& facts,
                         const Choice& choice) {
    const router::Policy& policy = route.policy;
    json::array order;
    for (const router::Target target : choice.targets) {
        order.emplace_back(policy.targets[target]);
    }
    json::array targets;
    for (std::size_t i = 0; i < policy.targets.size(); ++i) {
        targets.emplace_back(json::object{{"model", policy.targets[i]},
                                          {"usable", choice.states[i].usable},
                                          {"hot", choice.states[i].hot},
                                          {"expected_ms", choice.states[i].expected_ms}});
    }
    const router::Decision& decision = choice.decision;
    json::object result{{"route", route.name},
                        {"models", std::move(order)},
                        {"stage", router::to_string(decision.stage)},
                        {"reason", decision.reason},
                        {"facts",
                         json::object{{"text_bytes", facts.bytes},
                                      {"messages", facts.messages},
                                      {"tools", facts.tools},
                                      {"images", facts.images}}},
                        {"targets", std::move(targets)}};
    if (decision.task.has_value()) {
        result.emplace("task", task_of(policy, *decision.task));
    }
    if (decision.complexity.has_value()) {
        result.emplace("complexity", complexity_of(policy, *decision.complexity));
    }
    return result;
}

}  // namespace

const NamedRoute* Session::asked_route(const Route& route) {
    if (route.model_from != ModelFrom::json) {
        return nullptr;
    }
    const auto fields = fields_reader_.finish();
    return fields.ok() ? context_.routes.find((*fields)->model) : nullptr;
}

Task<router::RequestFacts> Session::read_facts(std::string_view body) {
    router::FactsReader reader;
    while (!body.empty()) {
        const std::string_view slice = body.substr(0, kSlice);
        body.remove_prefix(slice.size());
        reader.put(slice);
        if (!body.empty()) {
            co_await asio::post(co_await asio::this_coro::executor, platform::as_result);
        }
    }
    co_return reader.finish();
}

/// What is read of a body only where it matters: a server with replicas keeps conversations apart.
Task<std::uint64_t> Session::affinity_of(ModelId model) {
    const control::ModelView* view = context_.fleet.look(model);
    if (view == nullptr || view->servers.size() < 2) {
        co_return 0;
    }
    const router::RequestFacts facts = co_await read_facts(body_);
    co_return facts.conversation;
}

Task<> Session::forward_routed(const Route& route, const NamedRoute& named) {
    const Need need = need_of(head_.path);
    client_.watch();
    const router::RequestFacts facts = co_await read_facts(body_);
    control::AcquireOptions options = acquire_options(route);
    options.local_only = options.local_only || named.local_only;
    options.affinity = facts.conversation;
    const Choice choice =
        context_.routes.decide(named, facts, need, context_.fleet, options.local_only);
    route_name_ = named.name;
    reason_ = choice.decision.reason;
    Error error = no_target(named, need, options.local_only);
    for (std::size_t i = 0; i < choice.models.size() && !client_.gone(); ++i) {
        model_ = context_.fleet.name(choice.models[i]);
        const auto body = with_model(body_, model_);
        if (!body.has_value()) {
            break;
        }
        const std::string headers = headers_of(named, reason_) + cors_;
        const Turn::Asked asked{.head = head_,
                                .body = *body,
                                .model = choice.models[i],
                                .acquire = options,
                                .may_load = true,
                                .dialect = route.dialect,
                                .headers = headers};
        const Status status = co_await turn_.run(asked);
        if (client_.gone()) {
            co_return;
        }
        if (status.ok()) {
            context_.routes.remember(named, facts, choice.targets[i], choice.decision);
            status_ = turn_.status();
            keep_alive_ = keep_alive_ && turn_.client_keeps_alive();
            co_return;
        }
        error = status.error();
        if (!is_models_fault(error.code)) {
            break;
        }
        reason_ += "; " + named.policy.targets[choice.targets[i]] +
                   " failed: " + std::string(to_string(error.code));
    }
    if (client_.gone()) {
        co_return;
    }
    Reply answer = error_reply(route.dialect, error);
    answer.headers += headers_of(named, reason_);
    co_await reply(std::move(answer));
}

Task<> Session::answer_ollama_routed(const Route& route,
                                     const NamedRoute& named,
                                     dialect::OllamaCall call,
                                     const json::object& request,
                                     dialect::Instant since) {
    const Need need = need_of(head_.path);
    client_.watch();
    const std::string document = json::serialize(request);
    const router::RequestFacts facts = co_await read_facts(document);
    control::AcquireOptions options = acquire_options(route);
    options.local_only = options.local_only || named.local_only;
    options.affinity = facts.conversation;
    const Choice choice =
        context_.routes.decide(named, facts, need, context_.fleet, options.local_only);
    route_name_ = named.name;
    reason_ = choice.decision.reason;
    Reply answer = error_reply(route.dialect, no_target(named, need, options.local_only));
    for (std::size_t i = 0; i < choice.models.size() && !client_.gone(); ++i) {
        model_ = context_.fleet.name(choice.models[i]);
        OllamaExchange::Asked asked{.head = head_,
                                    .call = call,
                                    .request = request,
                                    .model = choice.models[i],
                                    .name = named.name,
                                    .acquire = options,
                                    .since = since,
                                    .headers = headers_of(named, reason_) + cors_};
        OllamaExchange exchange(context_.fleet, turn_, client_, std::move(asked));
        auto outcome = co_await exchange.run();
        if (client_.gone()) {
            co_return;
        }
        const bool served = !outcome.reply.has_value() || outcome.reply->status < kClientErrors;
        if (served) {
            context_.routes.remember(named, facts, choice.targets[i], choice.decision);
        }
        if (!outcome.reply.has_value()) {
            status_ = outcome.status;
            keep_alive_ = keep_alive_ && outcome.client_keeps_alive;
            co_return;
        }
        answer = *std::move(outcome.reply);
        if (answer.status < kServerErrors && answer.status != kTooManyRequests) {
            answer.headers += "x-drover-model: ";
            append_header_value(answer.headers, model_);
            answer.headers += "\r\n";
            break;
        }
        reason_ += "; " + named.policy.targets[choice.targets[i]] + " failed";
    }
    if (client_.gone()) {
        co_return;
    }
    answer.headers += headers_of(named, reason_);
    co_await reply(std::move(answer));
}

Task<> Session::explain_route(const Route& route) {
    const auto fields = fields_reader_.finish();
    if (!fields.ok()) {
        co_return co_await reply(error_reply(route.dialect, fields.error()));
    }
    const NamedRoute* named = context_.routes.find((*fields)->model);
    if (named == nullptr) {
        const auto model = context_.fleet.find((*fields)->model);
        if (!model.ok()) {
            co_return co_await reply(error_reply(route.dialect, model.error()));
        }
        const json::object plain{{"route", nullptr},
                                 {"models", json::array{valid_utf8(context_.fleet.name(*model))}},
                                 {"reason", "the request names a model"}};
        Reply direct{.body = json::serialize(plain)};
        co_return co_await reply(std::move(direct));
    }
    const router::RequestFacts facts = co_await read_facts(body_);
    const TimePoint began = platform::now();
    const bool local_only = acquire_options(route).local_only || named->local_only;
    const Choice choice =
        context_.routes.decide(*named, facts, Need::generation, context_.fleet, local_only);
    const auto took = platform::now() - began;
    json::object result = explanation(*named, facts, choice);
    result.emplace("decided_us",
                   std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    Reply answer{.body = json::serialize(result)};
    co_await reply(std::move(answer));
}

std::vector<control::ModelView> Session::listed_models() const {
    std::vector<control::ModelView> models = context_.fleet.models();
    for (control::ModelView& route : context_.routes.views()) {
        models.push_back(std::move(route));
    }
    return models;
}

}  // namespace drover::gateway
