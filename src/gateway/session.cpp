#include "gateway/session.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "gateway/catalogue.hpp"
#include "gateway/dialect/ollama_models.hpp"
#include "gateway/metrics.hpp"
#include "gateway/multipart.hpp"
#include "gateway/need.hpp"
#include "gateway/origin_guard.hpp"
#include "gateway/request_log.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::gateway {

using platform::now;
using platform::Task;

namespace {

/// What an idle session may keep.
constexpr std::size_t kIdleBody = 64 * 1024;
/// Models that a complaint names.
constexpr std::size_t kModelsNamed = 10;

}  // namespace

Session::Session(const SessionContext& context, platform::TcpSocket socket)
    : context_(context),
      client_(
          std::move(socket), deadline_, context.limits.write_timeout, [this] { client_left(); }),
      turn_(context.fleet, client_, deadline_, context.stall_timeout),
      body_share_(context.bodies) {}

Task<> Session::run() {
    try {
        co_await serve();
    } catch (const std::exception& error) {
        platform::log::error("session.failed", {{"error", error.what()}});
    }
    client_.close();
    co_await client_.closed();
}

Task<> Session::serve() {
    while (keep_alive_ && !client_.gone()) {
        begin_request();
        const bool complete = co_await read_head();
        if (!complete) {
            break;
        }
        co_await answer();
        end_request();
    }
    if (!client_.gone() && (parser_->expects_body() || parser_->refusal().has_value())) {
        co_await linger();
    }
}

void Session::begin_request() {
    body_.clear();
    crowded_ = false;
    turn_.begin();
    cors_.clear();
    fields_reader_.start();
    document_.start();
    route_ = nullptr;
    model_ = {};
    route_name_.clear();
    reason_.clear();
    status_ = 0;
    parser_.emplace(RequestParser::Limits{static_cast<std::size_t>(context_.limits.header.count()),
                                          static_cast<std::uint64_t>(context_.limits.body.count()),
                                          goes_to_disk},
                    head_,
                    static_cast<BodySink&>(*this),
                    context_.routes.headers());
}

void Session::end_request() {
    const RequestRecord record{.method = head_.method_name,
                               .path = head_.path,
                               .model = model_,
                               .route = route_name_,
                               .reason = reason_,
                               .status = status_,
                               .began = began_,
                               .leased = turn_.times().leased,
                               .first_byte = turn_.times().first_byte,
                               .ended = now()};
    context_.counts.add(record);
    log_request(record);
    keep_alive_ = keep_alive_ && !draining_ && !parser_->expects_body();
    if (body_.capacity() > kIdleBody) {
        std::string().swap(body_);
    }
    body_share_.clear();
    client_.trim();
    turn_.trim();
}

Task<bool> Session::read_head() {
    deadline_.set(Waiting::request,
                  first_ ? context_.limits.header_timeout : context_.limits.idle_timeout);
    first_ = false;
    for (;;) {
        if (!client_.input().empty() && !parser_->started() && client_.input().front() == '\r') {
            // Some clients send an empty line after a body; it is no request.
            client_.consume(client_.input().starts_with("\r\n") ? 2 : 0);
        }
        if (!client_.input().empty()) {
            if (deadline_.waiting() == Waiting::request) {
                deadline_.set(Waiting::head, context_.limits.header_timeout);
            }
            client_.consume(parser_->put(client_.input()));
        }
        if (parser_->head_done() || parser_->refusal().has_value()) {
            break;
        }
        if (draining_ && !parser_->started()) {
            co_return false;
        }
        const bool more = co_await client_.more(kReadSize);
        if (!more) {
            if (timed_out_) {
                break;
            }
            co_return false;
        }
    }
    deadline_.clear();
    began_ = now();
    co_return true;
}

Task<> Session::answer() {
    keep_alive_ = head_.keep_alive && !draining_;
    if (parser_->refusal().has_value() || timed_out_) {
        keep_alive_ = false;
        co_return co_await reply(refused_by_parser());
    }
    if (auto refused = objection(); refused.has_value()) {
        keep_alive_ = keep_alive_ && !parser_->expects_body();
        co_return co_await reply(std::move(*refused));
    }
    route_ = find_route(head_.path, head_.method);
    allow_page();
    if (goes_to_disk(head_.path, head_.method)) {
        co_return co_await receive_blob(*route_);
    }
    if (parser_->expects_body()) {
        const bool complete = co_await read_body();
        if (!complete) {
            co_return;
        }
    }
    if (head_.method == Method::options) {
        const std::string methods(allowed_methods(head_.path));
        Reply allowed{.status = 204, .headers = "Allow: " + methods + "\r\n"};
        if (!cors_.empty()) {
            // "*" does not stand for Authorization.
            allowed.headers += "Access-Control-Allow-Methods: " + methods +
                               "\r\nAccess-Control-Allow-Headers: Authorization, *\r\n"
                               "Access-Control-Max-Age: 600\r\n";
        }
        co_return co_await reply(std::move(allowed));
    }
    if (auto local = local_reply(*route_); local.has_value()) {
        co_return co_await reply(std::move(*local));
    }
    if (forwards(route_->action)) {
        co_return co_await forward(*route_);
    }
    if (route_->action == Action::explain_route) {
        co_return co_await explain_route(*route_);
    }
    if (route_->action == Action::feedback) {
        co_return co_await reply(take_feedback(*route_));
    }
    if (route_->action == Action::admin_plan) {
        co_return co_await answer_plan(*route_);
    }
    if (route_->action == Action::ollama_blob) {
        co_return co_await find_blob(*route_);
    }
    if (changes_library(route_->action)) {
        co_return co_await answer_library(*route_);
    }
    if (needs_document(route_->action)) {
        co_return co_await answer_ollama(*route_);
    }
    if (route_->action == Action::admin_refresh) {
        co_return co_await answer_refresh();
    }
    co_return co_await answer_admin(*route_);
}

void Session::allow_page() {
    if (!head_.origin.empty() && origin_is_allowed(head_.origin, head_.host, context_.origins)) {
        cors_ = "Access-Control-Allow-Origin: ";
        append_header_value(cors_, head_.origin);
        cors_ += "\r\nVary: Origin\r\n";
    }
}

std::optional<Reply> Session::objection() const {
    const Dialect dialect = dialect_of(head_.path);
    if (context_.loopback_only && !host_is_local(head_.host)) {
        return refusal_reply(
            dialect,
            Refusal::foreign_origin,
            "this server listens on loopback only and does not answer to the name '" + head_.host +
                "'; use 127.0.0.1 or localhost");
    }
    const bool reads_only = head_.method == Method::get || head_.method == Method::head;
    if (!reads_only && !origin_is_allowed(head_.origin, head_.host, context_.origins)) {
        return refusal_reply(dialect,
                             Refusal::foreign_origin,
                             "web pages from '" + head_.origin + "' may not use this server");
    }
    const std::string_view allowed = allowed_methods(head_.path);
    if (allowed.empty()) {
        const std::string_view why = why_not_offered(head_.path);
        return refusal_reply(dialect,
                             Refusal::unknown_path,
                             "there is nothing at " + head_.method_name + " " + head_.path +
                                 (why.empty() ? "" : ": " + std::string(why)));
    }
    if (head_.method != Method::options && find_route(head_.path, head_.method) == nullptr) {
        Reply reply = refusal_reply(dialect,
                                    Refusal::wrong_method,
                                    head_.path + " does not understand " + head_.method_name);
        reply.headers = "Allow: " + std::string(allowed) + "\r\n";
        return reply;
    }
    if (!head_.content_encoding.empty() &&
        !equals_ignoring_case(head_.content_encoding, "identity")) {
        return refusal_reply(dialect,
                             Refusal::unsupported_encoding,
                             "bodies with Content-Encoding '" + head_.content_encoding +
                                 "' are not understood; send it uncompressed");
    }
    return std::nullopt;
}

std::optional<Reply> Session::local_reply(const Route& route) const {
    const control::Fleet& fleet = context_.fleet;
    switch (route.action) {
        case Action::greeting:
            // These words are how Ollama's clients know that there is a server.
            return Reply{.body = "Ollama is running", .content_type = "text/plain; charset=utf-8"};
        case Action::health:
            return Reply{.body = R"({"status":"ok"})"};
        case Action::list_models:
            return Reply{.body = head_.anthropic ? anthropic_models(listed_models())
                                                 : openai_models(listed_models())};
        case Action::show_model:
            return show_model(route);
        case Action::metrics:
            if (!query_value(head_.query, "model").empty()) {
                return std::nullopt;
            }
            return Reply{.body = metrics(fleet.view(), context_.counts),
                         .content_type = kMetricsType};
        case Action::admin_models:
            return Reply{.body = admin_models(listed_models())};
        case Action::admin_ps:
            return Reply{.body = admin_fleet(fleet.view())};
        case Action::ollama_version:
            return Reply{.body = R"({"version":")" + std::string(dialect::kOllamaVersion) + "\"}"};
        case Action::ollama_tags:
            return Reply{.body = dialect::ollama_tags(listed_models())};
        case Action::ollama_ps:
            return Reply{.body = dialect::ollama_ps(
                             fleet.models(), fleet.view(), platform::wall_clock_ms())};
        case Action::forward:
        case Action::inspect:
        case Action::admin_load:
        case Action::admin_plan:
        case Action::admin_refresh:
        case Action::admin_unload:
        case Action::explain_route:
        case Action::feedback:
        case Action::ollama_show:
        case Action::ollama_blob:
        case Action::ollama_copy:
        case Action::ollama_create:
        case Action::ollama_delete:
        case Action::ollama_pull:
        case Action::ollama_push:
        case Action::ollama_chat:
        case Action::ollama_generate:
        case Action::ollama_embed:
        case Action::ollama_embeddings:
            return std::nullopt;
    }
    DROVER_UNREACHABLE();
}

Reply Session::show_model(const Route& route) const {
    const std::string_view prefix = head_.path.starts_with("/v1/") ? "/v1/models/" : "/models/";
    const std::string asked = percent_decoded(head_.path.substr(prefix.size()));
    const NamedRoute* named = context_.routes.find(asked);
    const auto id = context_.fleet.find(asked);
    if (named == nullptr && !id.ok()) {
        return error_reply(head_.anthropic ? Dialect::anthropic : route.dialect, id.error());
    }
    const std::string_view name = named != nullptr ? named->name : context_.fleet.name(*id);
    const auto models = listed_models();
    const auto model = std::find_if(
        models.begin(), models.end(), [&](const auto& one) { return one.name == name; });
    DROVER_ASSERT(model != models.end());
    return {.body = head_.anthropic ? anthropic_model(*model) : openai_model(*model)};
}

Result<std::string> Session::asked_name(const Route& route) {
    switch (route.model_from) {
        case ModelFrom::json: {
            const auto fields = fields_reader_.finish();
            return fields.ok() ? Result<std::string>((*fields)->model) : fields.error();
        }
        case ModelFrom::form:
            return multipart_field(head_.content_type, body_, "model");
        case ModelFrom::query:
            return query_value(head_.query, "model");
        case ModelFrom::nowhere:
            return std::string();
    }
    DROVER_UNREACHABLE();
}

Result<ModelId> Session::find_model(const Route& route, const Result<std::string>& name) {
    if (!name.ok()) {
        return name.error();
    }
    if (!name->empty()) {
        return context_.fleet.find(*name);
    }
    if (const auto only = context_.fleet.only_model(); only.has_value()) {
        return *only;  // with one model there is no doubt which is meant
    }
    return no_model_named(route);
}

Error Session::no_model_named(const Route& route) const {
    std::string message = "the request names no model: ";
    message += route.model_from == ModelFrom::query ? "add ?model= with one of"
                                                    : "set \"model\" to one of";
    std::size_t named = 0;
    for (const control::ModelView& model : context_.fleet.models()) {
        if (named == kModelsNamed) {
            message += ", ...";
            break;
        }
        message += (named++ == 0 ? " '" : ", '") + model.name + "'";
    }
    return Error{ErrorCode::invalid_argument, message};
}

control::AcquireOptions Session::acquire_options(const Route& route) {
    control::AcquireOptions options{.queue_timeout = context_.limits.queue_timeout,
                                    .local_only = context_.local_only || head_.local_only};
    if (route.model_from == ModelFrom::json) {
        if (const auto fields = fields_reader_.finish(); fields.ok()) {
            options.keep_alive = (*fields)->keep_alive;
        }
    }
    return options;
}

Task<> Session::forward(const Route& route) {
    const auto name = asked_name(route);
    const bool may_route = name.ok() && route.action == Action::forward;
    if (const auto* named = may_route ? context_.routes.find(*name) : nullptr; named != nullptr) {
        co_return co_await forward_routed(route, *named);
    }
    const auto model = find_model(route, name);
    if (!model.ok()) {
        co_return co_await reply(error_reply(route.dialect, model.error()));
    }
    model_ = context_.fleet.name(*model);
    const control::ModelView* known = context_.fleet.look(*model);
    if (const Status able = known != nullptr ? check_need(*known, head_.path) : Status();
        !able.ok()) {
        co_return co_await reply(error_reply(route.dialect, able.error()));
    }
    control::AcquireOptions options = acquire_options(route);
    client_.watch();
    options.affinity = co_await affinity_of(*model);
    if (client_.gone()) {
        co_return;
    }
    const Turn::Asked asked{.head = head_,
                            .body = body_,
                            .model = *model,
                            .acquire = options,
                            .may_load = route.action == Action::forward,
                            .dialect = route.dialect,
                            .headers = cors_};
    const Status status = co_await turn_.run(asked);
    if (client_.gone()) {
        co_return;
    }
    if (!status.ok()) {
        co_return co_await reply(error_reply(route.dialect, status.error()));
    }
    status_ = turn_.status();
    keep_alive_ = keep_alive_ && turn_.client_keeps_alive();
}

Task<> Session::reply(Reply reply) {
    status_ = reply.status;
    reply_head_ = "HTTP/1.1 " + std::to_string(reply.status) + " ";
    reply_head_.append(reason_phrase(reply.status)).append("\r\n");
    if (reply.status != 204) {
        reply_head_.append("Content-Type: ").append(reply.content_type).append("\r\n");
        reply_head_.append("Content-Length: ")
            .append(std::to_string(reply.body.size()))
            .append("\r\n");
    }
    reply_head_.append(reply.headers).append(cors_);
    keep_alive_ = keep_alive_ && !draining_;
    if (!keep_alive_) {
        reply_head_ += "Connection: close\r\n";
    } else if (!head_.http11) {
        reply_head_ += "Connection: keep-alive\r\n";
    }
    reply_head_ += "\r\n";
    reply_pieces_.assign(1, reply_head_);
    if (head_.method != Method::head && !reply.body.empty()) {
        reply_pieces_.emplace_back(reply.body);
    }
    if (!client_.send(reply_pieces_)) {
        client_.watch();
        co_await client_.flush();
    }
}

void Session::tick(TimePoint time) {
    if (!deadline_.passed(time)) {
        return;
    }
    const Waiting waiting = deadline_.waiting();
    deadline_.clear();
    switch (waiting) {
        case Waiting::nothing:
            return;
        case Waiting::request:
        case Waiting::farewell:
            return client_.close();
        case Waiting::head:
        case Waiting::body:
            timed_out_ = true;
            return client_.interrupt();
        case Waiting::client_read:
            turn_.abort();
            return client_.close(true);
        case Waiting::engine:
            return turn_.stall();
    }
    DROVER_UNREACHABLE();
}

void Session::drain() {
    draining_ = true;
    if (deadline_.waiting() == Waiting::request) {
        client_.close();
    }
}

void Session::client_left() {
    turn_.abort();
    cancel_admin_.emit(boost::asio::cancellation_type::terminal);
    if (stop_work_ != nullptr) {
        stop_work_->store(true);
    }
    client_.close();
}

void Session::dismiss() {
    keep_alive_ = false;
    turn_.dismiss();
    if (deadline_.waiting() == Waiting::body || deadline_.waiting() == Waiting::head) {
        client_.close();
    }
}

void Session::abort() {
    turn_.abort();
    cancel_admin_.emit(boost::asio::cancellation_type::terminal);
    if (stop_work_ != nullptr) {
        stop_work_->store(true);
    }
    client_.close(true);
}

}  // namespace drover::gateway
