// The part of a session that loads and unloads models when asked to.
#include <optional>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/catalogue.hpp"
#include "gateway/session.hpp"
#include "platform/task_scope.hpp"

namespace drover::gateway {

namespace json = boost::json;
using platform::Task;

Task<> Session::answer_admin(const Route& route) {
    const auto model = find_model(route, asked_name(route));
    if (!model.ok()) {
        co_return co_await reply(error_reply(route.dialect, model.error()));
    }
    std::optional<Result<json::object>> outcome;
    client_.watch();
    if (route.action == Action::admin_load) {
        const auto loaded = co_await load(*model);
        if (loaded.has_value()) {
            outcome = loaded->ok() ? Result<json::object>(json::object{
                                         {"model", valid_utf8(context_.fleet.name(*model))}})
                                   : Result<json::object>(loaded->error());
        }
    } else {
        const auto freed = co_await unload(*model);
        if (freed.has_value()) {
            outcome = freed->ok() ? Result<json::object>(json::object{{"freed", (*freed)->count()}})
                                  : Result<json::object>(freed->error());
        }
    }
    if (!outcome.has_value()) {
        co_return;
    }
    if (!outcome->ok()) {
        co_return co_await reply(error_reply(route.dialect, outcome->error()));
    }
    Reply answer{.body = json::serialize(**outcome)};
    co_await reply(std::move(answer));
}

Task<> Session::answer_plan(const Route& route) {
    const auto fields = fields_reader_.finish();
    if (!fields.ok()) {
        co_return co_await reply(error_reply(route.dialect, fields.error()));
    }
    client_.watch();
    json::object request = document_.take();
    const auto planned = co_await context_.plan(std::move(request));
    Reply answer = planned.ok() ? Reply{.body = json::serialize(*planned)}
                                : error_reply(route.dialect, planned.error());
    co_await reply(std::move(answer));
}

Task<> Session::answer_refresh() {
    client_.watch();
    co_await context_.fleet.refresh();
    Reply answer{.body = admin_models(context_.fleet.models())};
    co_await reply(std::move(answer));
}

Task<std::optional<Status>> Session::load(ModelId model) {
    std::optional<Status> outcome;
    const auto work = [&]() -> Task<> {
        outcome = co_await context_.fleet.load(model);
    };
    const auto failure = co_await platform::cancellable(cancel_admin_.slot(), work());
    if (client_.gone() || failure != nullptr) {
        outcome.reset();
    }
    co_return outcome;
}

Task<std::optional<Result<Bytes>>> Session::unload(ModelId model) {
    std::optional<Result<Bytes>> outcome;
    const auto work = [&]() -> Task<> {
        outcome = co_await context_.fleet.unload(model);
    };
    const auto failure = co_await platform::cancellable(cancel_admin_.slot(), work());
    if (client_.gone() || failure != nullptr) {
        outcome.reset();
    }
    co_return outcome;
}

}  // namespace drover::gateway
