// One request at one engine: lease, send, forward the answer, account for every way it can end. On
// the loop only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>

#include "control/fleet.hpp"
#include "gateway/client_connection.hpp"
#include "gateway/deadline.hpp"
#include "gateway/dialect/answer_translator.hpp"
#include "gateway/input_buffer.hpp"
#include "gateway/request.hpp"
#include "gateway/response_relay.hpp"
#include "platform/async.hpp"

namespace drover::gateway {

/// Reused for every request of a session, so that its buffers are.
class Turn {
  public:
    Turn(control::Fleet& fleet,
         ClientConnection& client,
         Deadline& deadline,
         std::chrono::milliseconds stall_timeout);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// What is asked of which model.
    struct Asked {
        const RequestHead& head;
        std::string_view body;  ///< sent as it is
        ModelId model;
        control::AcquireOptions acquire;
        bool may_load = true;  ///< false: only a hot instance will do
        Dialect dialect = Dialect::openai;
        /// Not empty: `body` is JSON for this endpoint, whatever the client's own path is.
        std::string_view path{};
        Relay* relay = nullptr;  ///< what becomes of the response; null: it is passed on as it is
        /// Makes the client's words of the body; null: see dialect::shape_of_answer().
        dialect::AnswerTranslator* translator = nullptr;
        std::string_view headers{};  ///< further lines of the response's head
        bool keeps_lease = false;    ///< the next run() is at the same instance; see release()
        bool holds_errors = false;   ///< an engine's error reply is not sent; see refusal()
        /// Judges the answer; a weak one is not sent; see withheld(). Null: nobody does.
        dialect::WatchedAnswer* watched = nullptr;
        /// So soon after the lease something must be sent, or the answer is given up (`timeout`).
        std::optional<std::chrono::milliseconds> verdict_within{};

        /// The client's own request, and a form.
        bool is_form() const { return path.empty() && head.content_type.starts_with("multipart/"); }
    };

    /// When things happened, for the log.
    struct Times {
        TimePoint leased{};
        TimePoint first_byte{};
    };

    /// Nothing has happened yet to the session's next request.
    void begin() { times_ = {}; }

    /// Forwards the request and writes the response to the client. An error means that nothing was
    /// written and a reply is due. REQUIRES: `asked.head` and `asked.body` stay until it returns.
    platform::Task<Status> run(Asked asked);

    /// Gets a lease for the runs to come, and does nothing with it.
    platform::Task<Status> hold(Asked asked);

    /// Ends a lease that was kept.
    void release() { lease_.release(); }

    /// The client has left: waiting is given up, and the connection to the engine is closed, so
    /// that it stops generating. run() returns soon.
    void abort();

    /// The engine has been silent for too long.
    void stall();

    /// The server stops and can wait no longer: run() ends with an error, or the answer with an
    /// error event.
    void dismiss();

    /// The client's connection can be used again. REQUIRES: run() returned no error.
    bool client_keeps_alive() const { return relay_->client_keeps_alive(); }
    unsigned status() const { return relay_->status(); }
    /// The engine's error reply that was not sent. REQUIRES: run() returned no error.
    std::optional<Reply> refusal() const;
    /// The answer was judged weak, and nothing of it was sent. REQUIRES: run() returned no error.
    bool withheld() const { return relay_->withheld() && !refusal().has_value(); }
    /// It says that the request is too long for the model. REQUIRES: refusal() has one.
    bool too_long() const { return passing_.too_long(); }
    const Times& times() const { return times_; }

    /// Gives back memory that only a large response needed.
    void trim();

  private:
    platform::Task<Status> attempt(const Asked& asked);
    platform::Task<Status> try_others(const Asked& asked, Status failed);
    platform::Task<> recall(const Asked& asked);
    platform::Task<Status> obtain(const Asked& asked);
    platform::Task<Status> acquire(ModelId model, const control::AcquireOptions& options);
    platform::Task<Status> exchange(const Asked& asked);
    platform::Task<Status> open(bool fresh);
    platform::Task<> send_rest();
    platform::Task<> relay();
    platform::Task<Status> explain();
    Error blame(ErrorCode code, const std::string& what) const;
    /// Engines that insist on a name of their own for the model are given it.
    void take_body(const Asked& asked);
    void rename(const Asked& asked, std::string_view model);
    std::optional<Error> adapt_to_remote(const Asked& asked);
    std::optional<Error> adapt_to_chat(const Asked& asked);
    static std::string_view content_type_of(const Asked& asked);
    void write_head(const Asked& asked);
    Duration connect_time() const;
    Duration patience() const;
    bool holds_back(unsigned status) const;
    Error held_back() const;
    void report(const Status& status);
    auto rest() const;
    bool send_some();
    void leave_engine();
    bool verdict_is_due() const;
    Duration silence_max() const;

    control::Fleet& fleet_;
    ClientConnection& client_;
    Deadline& deadline_;
    std::chrono::milliseconds stall_timeout_;

    control::Lease lease_;
    std::unique_ptr<engines::UpstreamConnection> upstream_;
    ResponseRelay passing_;
    Relay* relay_ = &passing_;
    InputBuffer input_;
    std::string head_;
    std::string_view path_;
    std::string_view body_;
    std::string renamed_;  ///< what `body_` is, when it is not the client's
    std::unique_ptr<dialect::AnswerTranslator> translator_;  ///< where the answer lacks something
    std::size_t sent_ = 0;                                   ///< of head and body together
    Times times_;
    std::vector<InstanceId> tried_;  ///< replicas of a remote that failed this request
    TimePoint sent_at_{};            ///< the request, in this attempt
    Duration connect_left_{};        ///< of a remote's time to connect, for all attempts
    boost::asio::cancellation_signal cancel_acquire_;
    std::optional<std::chrono::milliseconds> verdict_within_;
    ModelId model_{};
    bool keeps_lease_ = false;
    bool aborted_ = false;
    bool stalled_ = false;
    bool dismissed_ = false;
    bool unreached_ = false;  ///< the engine did not take the connection
    bool ended_ = false;      ///< the engine closed its side
    bool held_ = false;       ///< a remote's answer that the client does not get
    bool may_lack_ = false;   ///< the remote is asked for what few servers have
    bool leased_ = false;     ///< this attempt had a lease
    bool retryable_ = false;  ///< it failed, the client has nothing, and there are other replicas
};

}  // namespace drover::gateway
