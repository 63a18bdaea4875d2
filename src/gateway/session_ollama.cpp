// The part of a session that answers Ollama's clients.
#include <optional>
#include <string>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/assert.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/dialect/ollama_models.hpp"
#include "gateway/dialect/ollama_options.hpp"
#include "gateway/dialect/ollama_recipe.hpp"
#include "gateway/ollama_exchange.hpp"
#include "gateway/session.hpp"
#include "gateway/targets_now.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

namespace json = boost::json;
using dialect::OllamaCall;
using platform::Task;

namespace {

OllamaCall call_of(Action action) {
    return action == Action::ollama_chat       ? OllamaCall::chat
           : action == Action::ollama_generate ? OllamaCall::generate
           : action == Action::ollama_embed    ? OllamaCall::embed
                                               : OllamaCall::embeddings;
}

/// Ollama's clients look for these words; which ones depends on the endpoint.
Error no_such_model(Action action, const std::string& name) {
    const bool embeds = action == Action::ollama_embed || action == Action::ollama_embeddings;
    return {ErrorCode::not_found,
            action == Action::ollama_show ? "model '" + dialect::ollama_name(name) + "' not found"
            : embeds                      ? "model \"" + name + "\" not found, try pulling it first"
                                          : "model '" + name + "' not found"};
}

bool unloads(OllamaCall call, const json::object& request, const RequestFields& fields) {
    return (call == OllamaCall::chat || call == OllamaCall::generate) &&
           dialect::is_empty(call, request) && fields.keep_alive.has_value() &&
           *fields.keep_alive == memory::KeepAlive(Duration::zero());
}

}  // namespace

Task<> Session::answer_ollama(const Route& route) {
    const auto since = dialect::Instant{.monotonic = began_, .wall_ms = platform::wall_clock_ms()};
    const auto fields = fields_reader_.finish();
    if (document_.empty()) {
        Error error{ErrorCode::invalid_argument, "missing request body"};
        co_return co_await reply(error_reply(route.dialect, error));
    }
    if (!fields.ok()) {
        co_return co_await reply(error_reply(route.dialect, fields.error()));
    }
    json::object request = document_.take();
    std::optional<Error> problem;
    const dialect::FieldReader reader(request, problem);
    std::string name = (*fields)->model;
    if (name.empty()) {
        name = reader.text("name").value_or("");  // what `model` was called once
    }
    if (name.empty()) {
        Error error{ErrorCode::invalid_argument, "model is required"};
        co_return co_await reply(error_reply(route.dialect, error));
    }
    const NamedRoute* named = context_.routes.find(name);
    if (named != nullptr && route.action == Action::ollama_show) {
        co_return co_await show_route(*named);
    }
    if (named != nullptr && unloads(call_of(route.action), request, **fields)) {
        co_return co_await unload_route(*named, call_of(route.action));
    }
    if (named != nullptr) {
        co_return co_await answer_ollama_routed(
            route, *named, call_of(route.action), request, since);
    }
    const auto model = context_.fleet.find(name);
    if (!model.ok()) {
        const Error error = no_such_model(route.action, name);
        co_return co_await reply(error_reply(route.dialect, error));
    }
    model_ = context_.fleet.name(*model);
    if (route.action == Action::ollama_show) {
        co_return co_await show_ollama(*model, reader.flag("verbose").value_or(false));
    }
    const OllamaCall call = call_of(route.action);
    if (auto own = completed(*model, call, request); own.has_value()) {
        request = *std::move(own);
    }
    client_.watch();
    if (unloads(call, request, **fields)) {
        const auto freed = co_await unload(*model);
        if (!freed.has_value()) {
            co_return;
        }
        Reply answer = freed->ok() ? Reply{.body = OllamaExchange::unloaded(call, name)}
                                   : error_reply(route.dialect, freed->error());
        co_return co_await reply(std::move(answer));
    }
    OllamaExchange::Asked asked{.head = head_,
                                .call = call,
                                .request = request,
                                .model = *model,
                                .name = name,
                                .acquire = acquire_options(route),
                                .since = since,
                                .headers = cors_};
    asked.acquire.context = dialect::ollama_context(request);
    asked.acquire.affinity = co_await affinity_of(*model, &request);
    if (client_.gone()) {
        co_return;
    }
    OllamaExchange exchange(context_.fleet, turn_, client_, std::move(asked));
    auto outcome = co_await exchange.run();
    if (client_.gone()) {
        co_return;
    }
    if (outcome.reply.has_value()) {
        co_return co_await reply(*std::move(outcome.reply));
    }
    status_ = outcome.status;
    keep_alive_ = keep_alive_ && outcome.client_keeps_alive;
}

std::optional<json::object> Session::completed(ModelId model,
                                               OllamaCall call,
                                               const json::object& request) const {
    const control::ModelView* view = context_.fleet.look(model);
    if (view == nullptr || view->recipe == nullptr) {
        return std::nullopt;
    }
    json::object own = request;
    dialect::apply_recipe(own, call, *view->recipe);
    return own;
}

Task<> Session::unload_route(const NamedRoute& named, OllamaCall call) {
    client_.watch();
    Reply answer{.body = OllamaExchange::unloaded(call, named.name)};
    for (const ModelId model : idle_targets(named.policy.targets, context_.fleet)) {
        const auto freed = co_await unload(model);
        if (!freed.has_value()) {
            co_return;
        }
        if (!freed->ok()) {
            answer = error_reply(Dialect::ollama, freed->error());
        }
    }
    co_await reply(std::move(answer));
}

Task<> Session::show_route(const NamedRoute& named) {
    const control::ModelView view = RouteTable::view(named, context_.fleet);
    control::ModelDescription description;
    description.metadata["general.architecture"] = view.architecture;
    if (view.trained_context > 0) {
        description.metadata[view.architecture + ".context_length"] = view.trained_context;
    }
    Reply answer{.body = dialect::ollama_show(view, description, false)};
    co_await reply(std::move(answer));
}

Task<> Session::show_ollama(ModelId model, bool verbose) {
    const control::ModelView* view = context_.fleet.look(model);
    if (view == nullptr) {
        Error error{ErrorCode::internal, "the model cannot be read; see GET /admin/models"};
        co_return co_await reply(error_reply(Dialect::ollama, error));
    }
    const control::ModelView known = *view;
    const auto description = co_await context_.fleet.describe(model);
    if (!description.ok()) {
        co_return co_await reply(error_reply(Dialect::ollama, description.error()));
    }
    Reply answer{.body = dialect::ollama_show(known, *description, verbose)};
    co_return co_await reply(std::move(answer));
}

}  // namespace drover::gateway
