#include "gateway/turn.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/json/serialize.hpp>

#include "engines/upstream_connection.hpp"
#include "gateway/dialect/answer_shape.hpp"
#include "gateway/dialect/chat_form.hpp"
#include "gateway/dialect/remote_request.hpp"
#include "gateway/model_rewrite.hpp"
#include "platform/clock.hpp"
#include "platform/task_scope.hpp"

namespace drover::gateway {

namespace asio = boost::asio;
using boost::system::error_code;
using platform::as_result;
using platform::now;
using platform::Task;

namespace {

constexpr std::size_t kAnswerReadSize = 16 * 1024;
/// Longest that an engine of this machine may take to accept a connection.
constexpr std::chrono::milliseconds kConnectTimeout{5'000};

Error client_left() {
    return Error{ErrorCode::cancelled, "the client left"};
}

}  // namespace

Turn::Turn(control::Fleet& fleet,
           ClientConnection& client,
           Deadline& deadline,
           std::chrono::milliseconds stall_timeout)
    : fleet_(fleet), client_(client), deadline_(deadline), stall_timeout_(stall_timeout) {}

Turn::~Turn() = default;

Task<Status> Turn::run(Asked asked) {
    aborted_ = false;
    stalled_ = false;
    dismissed_ = false;
    times_ = lease_ ? Times{.leased = times_.leased} : Times();
    model_ = asked.model;
    relay_ = asked.relay != nullptr ? asked.relay : &passing_;
    keeps_lease_ = asked.keeps_lease;
    verdict_within_ = asked.verdict_within;
    tried_.clear();
    Status status = co_await attempt(asked);
    if (retryable_) {
        co_return co_await try_others(asked, std::move(status));
    }
    if (!status.ok() && unreached_ && !aborted_ && !dismissed_) {
        // The engine had just died, and this request never reached it: it is not the one to suffer.
        status = co_await attempt(asked);
    }
    co_return status;
}

Task<Status> Turn::try_others(const Asked& asked, Status failed) {
    while (retryable_ && !aborted_ && !dismissed_) {
        Status status = co_await attempt(asked);
        if (!status.ok() && !leased_) {
            break;  // nobody else is there: what went wrong is the answer
        }
        failed = std::move(status);
    }
    co_return failed;
}

Task<Status> Turn::hold(Asked asked) {
    aborted_ = false;
    times_ = {};
    tried_.clear();
    co_return co_await obtain(asked);
}

Task<Status> Turn::obtain(const Asked& asked) {
    if (lease_) {
        co_return Status();  // kept from the request before
    }
    control::AcquireOptions options = asked.acquire;
    options.tried = tried_;
    if (auto lease = fleet_.try_acquire(asked.model, options)) {
        lease_ = std::move(*lease);
    } else if (!asked.may_load) {
        co_return Error{ErrorCode::unavailable,
                        "model '" + std::string(fleet_.name(asked.model)) +
                            "' is not loaded, or busy; this request does not load it"};
    } else if (Status status = co_await acquire(asked.model, options); !status.ok()) {
        co_return status;
    }
    times_.leased = now();
    co_return Status();
}

Task<Status> Turn::attempt(const Asked& asked) {
    unreached_ = held_ = stalled_ = leased_ = retryable_ = may_lack_ = false;
    Status status = co_await obtain(asked);
    if (!status.ok()) {
        co_return status;
    }
    leased_ = true;
    times_.first_byte = {};
    path_ = asked.path.empty() ? std::string_view(asked.head.path) : asked.path;
    take_body(asked);
    translator_.reset();
    if (lease_.remote() != nullptr) {
        if (auto refused = adapt_to_remote(asked); refused.has_value()) {
            lease_.release();
            co_return *std::move(refused);
        }
    } else if (asked.path.empty()) {
        translator_ = dialect::shape_of_answer(
            path_, asked.body, fleet_.name(asked.model), platform::wall_clock_ms() / 1000);
    }
    if (lease_.may_recall()) {
        co_await recall(asked);
        if (aborted_) {
            lease_.release();
            co_return client_left();
        }
    }
    status = co_await exchange(asked);
    upstream_.reset();
    if (lease_ && lease_.remote() != nullptr) {
        report(status);
    }
    if (!keeps_lease_ || !status.ok()) {
        lease_.release();
    }
    co_return status;
}

/// Of what the engine itself turns into a chat, the chat has the tokens.
Task<> Turn::recall(const Asked& asked) {
    std::string_view path = path_;
    std::string_view body = asked.body;
    std::string chat;
    if (dialect::has_chat_form(path)) {
        if (const auto form = dialect::chat_form(path, body); form.ok()) {
            chat = boost::json::serialize(*form);
            path = dialect::kChatPath;
            body = chat;
        }
    }
    co_await lease_.recall(path, body);
}

Task<Status> Turn::acquire(ModelId model, const control::AcquireOptions& options) {
    std::optional<Result<control::Lease>> outcome;
    const auto wait = [&]() -> Task<> {
        outcome.emplace(co_await fleet_.acquire(model, options));
    };
    const auto failure = co_await platform::cancellable(cancel_acquire_.slot(), wait());
    if (aborted_ || failure != nullptr || !outcome.has_value()) {
        co_return aborted_ || !dismissed_ ? client_left() : control::server_stopping();
    }
    if (!outcome->ok()) {
        co_return outcome->error();
    }
    lease_ = std::move(**outcome);
    co_return Status();
}

Task<Status> Turn::exchange(const Asked& asked) {
    const ResponseRelay::Terms terms{
        .dialect = asked.dialect,
        .head_request = asked.head.method == Method::head,
        .http11 = asked.head.http11,
        .keep_alive = asked.head.keep_alive,
        .model = fleet_.name(asked.model),
        .headers = asked.headers,
        .translator = asked.translator != nullptr ? asked.translator : translator_.get(),
        .holds_errors = asked.holds_errors,
        .watched = asked.watched};
    write_head(asked);
    // The second attempt is for one case only: a kept-alive connection that the engine had closed
    // before the request reached it.
    for (const bool fresh : {false, true}) {
        relay_->start(terms);
        input_.clear();
        sent_ = 0;
        ended_ = false;
        if (Status status = co_await open(fresh); !status.ok()) {
            co_return status;
        }
        const bool reused = upstream_->reused;
        sent_at_ = now();
        if (!send_some()) {
            co_await send_rest();
        }
        co_await relay();
        if (held_) {
            co_return held_back();
        }
        if (relay_->withheld() || (relay_->done() && !relay_->failed())) {
            co_return Status();
        }
        if (relay_->answered() || aborted_ || stalled_ || dismissed_) {
            break;
        }
        if (!reused) {
            // A process that is being killed still takes a connection on its way out, so a second
            // one that breaks at once is no different from one that is refused.
            unreached_ = fresh;
            break;
        }
    }
    co_return co_await explain();
}

Task<Status> Turn::open(bool fresh) {
    upstream_ = fresh ? nullptr : lease_.upstream().take_idle(now());
    if (upstream_ == nullptr) {
        const TimePoint begun = now();
        auto opened = co_await lease_.upstream().connect(connect_time());
        connect_left_ -= now() - begun;
        if (aborted_) {
            co_return client_left();
        }
        if (!opened.ok()) {
            unreached_ = true;
            const auto cause = co_await lease_.failure();
            co_return cause.has_value() ? *cause : opened.error();
        }
        upstream_ = std::move(*opened);
    }
    co_return Status();
}

void Turn::take_body(const Asked& asked) {
    body_ = asked.body;
    const control::ModelView* model =
        lease_.remote() != nullptr ? nullptr : fleet_.look(asked.model);
    if (model == nullptr) {
        return;
    }
    if (const auto path = dialect::openai_path(path_); model->only_openai && !path.empty()) {
        path_ = path;
    }
    if (!model->served_name.empty()) {
        rename(asked, model->served_name);
    }
}

void Turn::rename(const Asked& asked, std::string_view model) {
    auto body = asked.is_form() ? with_model_in_form(asked.head.content_type, asked.body, model)
                                : with_model(asked.body, model);
    if (body.has_value()) {
        renamed_ = *std::move(body);
        body_ = renamed_;
    }
}

Duration Turn::connect_time() const {
    // A server that swallows everything leaves time for the others.
    const Duration limit =
        lease_.remote() == nullptr
            ? kConnectTimeout
            : std::max(connect_left_, Duration()) / static_cast<Duration::rep>(lease_.others() + 1);
    return verdict_within_.has_value() ? std::min(limit, silence_max()) : limit;
}

Duration Turn::patience() const {
    const control::RemoteTerms* remote = lease_.remote();
    if (remote == nullptr) {
        return stall_timeout_;
    }
    return relay_->body_begun() ? remote->idle_timeout : remote->first_byte_timeout;
}

/// What curl sends is called a form unless it is told otherwise, and some engines insist on the
/// word.
std::string_view Turn::content_type_of(const Asked& asked) {
    const std::string_view given = asked.head.content_type;
    const bool own = !asked.path.empty();
    const bool unsaid = asked.head.method == Method::post &&
                        (given.empty() || given.starts_with("application/x-www-form-urlencoded"));
    return own || unsaid ? "application/json" : given;
}

void Turn::write_head(const Asked& asked) {
    const RequestHead& head = asked.head;
    const engines::Endpoint& engine = lease_.upstream().endpoint();
    const bool own = !asked.path.empty();
    head_.assign(own ? "POST" : head.method_name).append(" ");
    engine.append_target(head_, path_);
    if (!own && lease_.remote() == nullptr && !head.query.empty()) {
        head_.append("?").append(head.query);
    }
    head_ += " HTTP/1.1\r\n";
    engine.append_headers(head_);
    if (!own && !head.accept.empty()) {
        head_.append("Accept: ").append(head.accept).append("\r\n");
    }
    const std::string_view type = content_type_of(asked);
    if (!type.empty()) {
        head_.append("Content-Type: ").append(type).append("\r\n");
    }
    if (own || head.method == Method::post) {
        head_.append("Content-Length: ").append(std::to_string(body_.size())).append("\r\n");
    }
    head_ += "\r\n";
}

/// What of head and body is still to be sent.
auto Turn::rest() const {
    const std::size_t of_head = std::min(sent_, head_.size());
    const std::size_t of_body = sent_ - of_head;
    return std::array<asio::const_buffer, 2>{
        asio::buffer(head_.data() + of_head, head_.size() - of_head),
        asio::buffer(body_.data() + of_body, body_.size() - of_body)};
}

bool Turn::send_some() {
    while (sent_ < head_.size() + body_.size()) {
        error_code error;
        sent_ += upstream_->write_some(rest(), error);
        if (error) {
            return error != asio::error::would_block;
        }
    }
    return true;
}

Task<> Turn::send_rest() {
    while (sent_ < head_.size() + body_.size()) {
        deadline_.set(Waiting::engine, patience());
        const auto [error, count] = co_await upstream_->async_write_some(rest(), as_result);
        deadline_.clear();
        if (error) {
            // An engine that refuses a request may answer and close before it has read all of it,
            // so a failed write is no failure yet: what there is to read decides.
            co_return;
        }
        sent_ += count;
    }
}

Task<> Turn::relay() {
    for (;;) {
        const InputBuffer::Room room = input_.prepare(kAnswerReadSize);
        deadline_.set(Waiting::engine, silence_max());
        const auto [error, size] =
            co_await upstream_->async_read_some(asio::buffer(room.data, room.size), as_result);
        deadline_.clear();
        std::size_t used = 0;
        if (aborted_ || stalled_ || dismissed_ || (error && error != asio::error::eof)) {
            co_return;  // exchange() finds out what it was
        }
        if (error) {
            ended_ = true;
            relay_->put_eof();
        } else {
            input_.commit(size);
            if (verdict_is_due()) {
                relay_->hurry();
            }
            const bool begun = relay_->begun();
            used = relay_->put(input_.data());
            if (!begun && holds_back(relay_->status())) {
                held_ = true;
                co_return;
            }
        }
        if (times_.first_byte == TimePoint() && (relay_->body_begun() || relay_->done())) {
            times_.first_byte = now();
        }
        const bool all_sent = client_.send(relay_->output());
        if (relay_->done() && !relay_->failed() && used == input_.data().size()) {
            leave_engine();
        }
        if (!all_sent) {
            co_await client_.flush();
        }
        input_.consume(used);
        if (error || relay_->done() || relay_->failed() || relay_->withheld() || client_.gone()) {
            aborted_ = aborted_ || client_.gone();
            co_return;
        }
    }
}

bool Turn::verdict_is_due() const {
    return verdict_within_.has_value() && !relay_->begun() &&
           now() >= times_.leased + *verdict_within_;
}

Duration Turn::silence_max() const {
    if (!verdict_within_.has_value() || relay_->begun()) {
        return patience();
    }
    const Duration left = times_.leased + *verdict_within_ - now();
    return std::clamp<Duration>(left, std::chrono::milliseconds(1), patience());
}

void Turn::leave_engine() {
    // Before a slow client has taken the last bytes: the engine is free for others now.
    if (relay_->engine_keeps_alive() && sent_ == head_.size() + body_.size()) {
        lease_.upstream().give_back(std::move(upstream_), now());
    }
    upstream_.reset();
    if (!keeps_lease_) {
        if (lease_.remote() != nullptr) {
            report(Status());
        }
        lease_.release();
    }
}

/// What an engine that lives did, with its last words.
Error Turn::blame(ErrorCode code, const std::string& what) const {
    if (lease_.remote() != nullptr) {
        return {code, "the engine " + what};
    }
    const std::string words = lease_.last_words();
    return {code,
            "the engine of model '" + std::string(fleet_.name(model_)) + "' " + what +
                (words.empty() ? "" : "; its last words: " + words)};
}

Task<Status> Turn::explain() {
    if (aborted_) {
        co_return client_left();
    }
    upstream_.reset();
    const auto silence = std::chrono::duration_cast<std::chrono::milliseconds>(patience());
    std::optional<Error> error;
    if (dismissed_) {
        error = control::server_stopping();
    } else if (stalled_ && verdict_is_due()) {
        error =
            Error{ErrorCode::timeout, "there was no answer within " + to_string(*verdict_within_)};
    } else if (stalled_) {
        const std::string what = "was silent for " + to_string(silence);
        error = blame(ErrorCode::timeout, what);
        lease_.report_hung(what);
    } else if (relay_->failed() && !ended_) {
        error = blame(ErrorCode::engine_failed, "gave an answer that is not valid HTTP");
    } else {
        error = co_await lease_.failure();
    }
    if (!error.has_value()) {
        error = blame(ErrorCode::engine_failed,
                      relay_->answered() ? "closed the connection in the middle of its answer"
                                         : "closed the connection without an answer");
    }
    if (client_.gone()) {
        co_return client_left();
    }
    if (lease_.remote() != nullptr) {
        error = error->with(lease_.upstream().endpoint().text());
    }
    if (!relay_->begun()) {
        co_return *error;
    }
    if (!relay_->fail(error_row(error->code), error->message)) {
        client_.close(true);
        co_return Status();
    }
    if (!client_.send(relay_->output())) {
        co_await client_.flush();
    }
    co_return Status();
}

std::optional<Reply> Turn::refusal() const {
    return relay_ == &passing_ && passing_.refused() ? std::optional(passing_.refusal())
                                                     : std::nullopt;
}

void Turn::abort() {
    aborted_ = true;
    cancel_acquire_.emit(asio::cancellation_type::terminal);
    if (upstream_ != nullptr) {
        upstream_->close();
    }
}

void Turn::stall() {
    stalled_ = true;
    if (upstream_ != nullptr) {
        upstream_->close();
    }
}

void Turn::dismiss() {
    dismissed_ = true;
    cancel_acquire_.emit(asio::cancellation_type::terminal);
    if (upstream_ != nullptr) {
        upstream_->close();
    }
}

void Turn::trim() {
    input_.shrink(kIdleBuffer);
    renamed_ = {};
}

}  // namespace drover::gateway
