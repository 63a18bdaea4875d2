// The part of a turn that is about models of other servers: what they are asked, and what is made
// of what they answer.
#include <string>
#include <utility>

#include "gateway/dialect/chat_form.hpp"
#include "gateway/dialect/remote_request.hpp"
#include "gateway/http_status.hpp"
#include "gateway/turn.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

namespace {

/// A server has nothing at a path: none such, not to be posted to, not made yet.
bool is_lacking(unsigned status) {
    return status == kHttpNotFound || status == kHttpNotAllowed || status == kHttpNotImplemented;
}

/// What a remote says of its key is not about the client's.
bool is_about_the_key(unsigned status) {
    return status == kHttpUnauthorized || status == kHttpForbidden;
}

/// The fault lies with the server, not with the request.
bool is_servers_fault(unsigned status) {
    return (status >= kHttpServerError && status != kHttpNotImplemented) ||
           is_about_the_key(status);
}

}  // namespace

std::optional<Error> Turn::adapt_to_remote(const Asked& asked) {
    const std::string& model = lease_.remote()->served_name;
    if (tried_.empty()) {
        connect_left_ = lease_.remote()->connect_timeout;
    }
    if (asked.path.empty() && dialect::has_chat_form(path_)) {
        return adapt_to_chat(asked);
    }
    may_lack_ = asked.path.empty() && dialect::is_beside_openai(path_);
    const std::string_view path = may_lack_ ? path_ : dialect::openai_path(path_);
    if (path.empty() || asked.head.method != Method::post) {
        return Error{ErrorCode::invalid_argument,
                     "model '" + std::string(fleet_.name(asked.model)) +
                         "' is remote, and its server is not asked for " + std::string(path_)};
    }
    path_ = path;
    if (asked.is_form()) {
        rename(asked, model);
        return std::nullopt;
    }
    renamed_ = dialect::remote_body(asked.body, model, !asked.path.empty());
    body_ = renamed_;
    return std::nullopt;
}

std::optional<Error> Turn::adapt_to_chat(const Asked& asked) {
    auto body = dialect::chat_form(path_, asked.body);
    if (!body.ok()) {
        return body.error().with("model '" + std::string(fleet_.name(asked.model)) +
                                 "' is remote, and its server is asked in OpenAI's words");
    }
    translator_ = dialect::answer_from_chat(
        path_, asked.body, fleet_.name(asked.model), platform::wall_clock_ms() / 1000);
    path_ = dialect::kChatPath;
    renamed_ = dialect::remote_body(std::move(*body), lease_.remote()->served_name);
    body_ = renamed_;
    return std::nullopt;
}

bool Turn::holds_back(unsigned status) const {
    if (lease_.remote() == nullptr || is_about_the_key(status)) {
        return lease_.remote() != nullptr;
    }
    return (may_lack_ && is_lacking(status)) ||
           (lease_.others() > 0 && (is_servers_fault(status) || status == kHttpTooManyRequests ||
                                    status == kHttpNotFound));
}

Error Turn::held_back() const {
    const unsigned status = relay_->status();
    const std::string server = lease_.upstream().endpoint().text();
    if (is_about_the_key(status)) {
        return {
            ErrorCode::engine_failed,
            server + " refuses the key that Drover has for it (" + std::to_string(status) + ")"};
    }
    if (may_lack_ && is_lacking(status)) {
        return {ErrorCode::not_found,
                server + " answered " + std::to_string(status) + " to " + std::string(path_) +
                    ": it has no such path, or no such model"};
    }
    const ErrorCode code = status == kHttpTooManyRequests ? ErrorCode::overloaded
                           : status == kHttpNotFound      ? ErrorCode::not_found
                                                          : ErrorCode::engine_failed;
    return {
        code, server + " answered with status " + std::to_string(status), relay_->retry_after()};
}

void Turn::report(const Status& status) {
    upstreams::Report report{.cause = status.ok() ? std::string() : status.error().message};
    if (aborted_ || client_.gone()) {
        report.outcome = upstreams::Outcome::unknown;
    } else if (relay_->answered() && relay_->status() == kHttpTooManyRequests) {
        report.outcome = upstreams::Outcome::pushed_back;
        report.rest = relay_->retry_after();
    } else if (!relay_->answered() || is_servers_fault(relay_->status()) || !relay_->done() ||
               relay_->failed()) {
        const bool blameless = held_ && (relay_->status() == kHttpNotFound ||
                                         (may_lack_ && is_lacking(relay_->status())));
        report.outcome = blameless ? upstreams::Outcome::unknown : upstreams::Outcome::failed;
        if (report.cause.empty()) {
            report.cause = relay_->done() && !relay_->failed()
                               ? "it answered with status " + std::to_string(relay_->status())
                               : "it broke off in the middle of an answer";
        }
    } else {
        report.outcome = upstreams::Outcome::served;
        report.first_byte = times_.first_byte - sent_at_;
    }
    lease_.report(report);
    unreached_ = false;  // its own replica is not tried a second time
    const bool in_time = !stalled_ || !verdict_is_due();
    if (!status.ok() && in_time && !aborted_ && !client_.gone() && lease_.others() > 0) {
        tried_.push_back(lease_.instance());
        retryable_ = true;
    }
}

}  // namespace drover::gateway
