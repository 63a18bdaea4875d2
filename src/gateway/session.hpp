// One client connection: reads requests, has them answered, one after the other. On the loop only.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/json/object.hpp>

#include "config/config.hpp"
#include "control/fleet.hpp"
#include "gateway/body_room.hpp"
#include "gateway/client_connection.hpp"
#include "gateway/deadline.hpp"
#include "gateway/dialect/clock.hpp"
#include "gateway/dialect/ollama_request.hpp"
#include "gateway/json_body.hpp"
#include "gateway/reply.hpp"
#include "gateway/request.hpp"
#include "gateway/request_counts.hpp"
#include "gateway/request_fields.hpp"
#include "gateway/request_parser.hpp"
#include "gateway/route_table.hpp"
#include "gateway/routed_tries.hpp"
#include "gateway/routes.hpp"
#include "gateway/routing_log.hpp"
#include "gateway/turn.hpp"
#include "platform/async.hpp"
#include "store/library.hpp"

namespace drover::gateway {

/// What all sessions share; outlives them.
struct SessionContext {
    control::Fleet& fleet;
    RouteTable& routes;
    RoutingLog& routing_log;
    RequestCounts& counts;
    BodyRoom& bodies;
    config::LimitsConfig limits;
    std::chrono::milliseconds stall_timeout;
    /// The answer to POST /admin/plan; see ServerOptions.
    std::function<platform::Task<Result<boost::json::object>>(boost::json::object)> plan;
    store::Library& library;
    bool loopback_only;                  ///< nobody but this machine is meant to reach us
    std::vector<std::string> origins{};  ///< of web pages that may use the server
    bool local_only = false;             ///< no request goes to a remote model
};

class Session final : private BodySink {
  public:
    Session(const SessionContext& context, platform::TcpSocket socket);

    /// Serves requests until the client leaves or must go.
    platform::Task<> run();

    /// Looks at the deadline; called every now and then.
    void tick(TimePoint now);

    /// An idle connection is closed now, a busy one after its response.
    void drain();

    /// Ends what is under way with an error that the client sees; its connection is closed after
    /// it.
    void dismiss();

    /// Ends whatever is under way.
    void abort();

  private:
    platform::Task<> serve();
    platform::Task<bool> read_head();
    platform::Task<> invite_body();
    platform::Task<bool> read_body();
    platform::Task<> answer();
    platform::Task<> forward(const Route& route);
    platform::Task<> answer_admin(const Route& route);
    platform::Task<> answer_refresh();
    platform::Task<> answer_ollama(const Route& route);
    platform::Task<> forward_routed(const Route& route, const NamedRoute& named);
    platform::Task<> answer_ollama_routed(const Route& route,
                                          const NamedRoute& named,
                                          dialect::OllamaCall call,
                                          const boost::json::object& request,
                                          dialect::Instant since);
    /// What goes with the request to one model of a route.
    struct Asking {
        const router::RequestFacts& facts;
        RoutedTries& tries;
        const control::AcquireOptions& acquire;
        std::string_view headers;  ///< lines for the answer
    };
    /// What came of it.
    struct Attempt {
        enum class End : std::uint8_t {
            answered,   ///< by `reply`; without one, the client has its answer already
            weak,       ///< judged so, and withheld
            refused,    ///< by the engine; `reply` is its error
            failed,     ///< before the engine could answer; `error` is why, `reply` says it
            unaskable,  ///< the request cannot be put to any model
        };
        End end;
        std::optional<Reply> reply{};
        ErrorCode error = ErrorCode::internal;
        bool too_long = false;  ///< refused, since its context is too short
        // Of an answer that the client has already.
        unsigned status = 0;
        bool client_keeps_alive = true;
    };
    using AskModel = std::function<platform::Task<Attempt>(const Asking&)>;
    /// Decides, and asks one model after the other until one answers.
    platform::Task<> try_models(const Route& route,
                                const NamedRoute& named,
                                const router::RequestFacts& facts,
                                const AskModel& ask);
    platform::Task<Attempt> ask_engine(const Asking& asking,
                                       std::optional<boost::json::object>& chat);
    platform::Task<Attempt> ask_ollama(const Asking& asking,
                                       std::string_view name,
                                       dialect::OllamaCall call,
                                       const boost::json::object& request,
                                       dialect::Instant asked_at);
    /// The request as the model's recipe completes it; nullopt: it has none.
    std::optional<boost::json::object> completed(ModelId model,
                                                 dialect::OllamaCall call,
                                                 const boost::json::object& request) const;
    /// What a model of a route is asked: the client's request, or what stands for it.
    struct Wording {
        std::string body;
        std::string_view path{};  ///< see Turn::Asked
        std::unique_ptr<dialect::AnswerTranslator> translator{};
    };
    /// `chat` is the request as a chat completion, where that is asked for judged answers. Nullopt:
    /// the request, JSON or a form, names no model that could be replaced.
    std::optional<Wording> word(const RoutedTries& tries,
                                const router::RequestFacts& facts,
                                std::optional<boost::json::object>& chat);
    platform::Task<> explain_route(const Route& route);
    /// Of the request as if it had come to `path`, which outlives the facts.
    platform::Task<router::RequestFacts> read_facts(std::string_view body, std::string_view path);
    /// Decides, and asks the route's classifiers before where that takes it.
    platform::Task<Choice> choose(const NamedRoute& named,
                                  const router::RequestFacts& facts,
                                  std::string_view path,
                                  bool local_only);
    platform::Task<router::Classification> classify(const NamedRoute& named,
                                                    const router::Classifier& classifier,
                                                    std::string_view text,
                                                    bool local_only);
    std::vector<control::ModelView> listed_models() const;
    platform::Task<> answer_library(const Route& route);
    platform::Task<> find_blob(const Route& route);
    platform::Task<> receive_blob(const Route& route);
    platform::Task<Status> store_body(store::BlobReceiver& blob);
    using Work = std::function<platform::Task<Status>(store::OnProgress, store::StopFlag)>;
    /// Waits for the work, and tells the client how far it is if it `streams`; `tells`: the end of
    /// it has a body. A client that leaves stops the work.
    platform::Task<> do_work(Work work, bool tells, bool streams);
    platform::Task<> send_lines(std::deque<std::string> lines, bool begun);
    platform::Task<> finish_lines();
    platform::Task<> show_ollama(ModelId model, bool verbose);
    platform::Task<> show_route(const NamedRoute& named);
    /// Nullopt: the client has left.
    platform::Task<std::optional<Status>> load(ModelId model);
    platform::Task<std::optional<Result<Bytes>>> unload(ModelId model);
    /// Those models of the route that nobody uses.
    platform::Task<> unload_route(const NamedRoute& named, dialect::OllamaCall call);
    platform::Task<> reply(Reply reply);
    platform::Task<> linger();
    std::optional<Reply> objection() const;
    std::optional<Reply> local_reply(const Route& route) const;
    Reply refused_by_parser() const;
    Reply refused_by_crowd() const;
    platform::Task<> answer_plan(const Route& route);
    Reply take_feedback(const Route& route);
    void note_routed(const NamedRoute& named,
                     const router::RequestFacts& facts,
                     const Choice& choice,
                     const RoutedTries& tries,
                     std::string_view id);
    Reply show_model(const Route& route) const;
    /// Of the model or route that the request is for; empty: it names none.
    Result<std::string> asked_name(const Route& route);
    Result<ModelId> find_model(const Route& route, const Result<std::string>& name);
    Error no_model_named(const Route& route) const;
    /// How the request that was read wants its model.
    control::AcquireOptions acquire_options(const Route& route);
    /// `document`: the body, where it was read as one; null: it stands in `body_`.
    platform::Task<std::uint64_t> affinity_of(ModelId model,
                                              const boost::json::object* document = nullptr);
    void on_body(std::string_view piece) override;
    void client_left();
    void allow_page();
    void begin_request();
    void end_request();

    const SessionContext& context_;
    Deadline deadline_;
    ClientConnection client_;
    Turn turn_;

    RequestHead head_;
    std::string body_;
    BodyRoom::Share body_share_;
    bool crowded_ = false;  ///< there is no room for the body
    RequestFieldsReader fields_reader_;
    JsonBody document_;
    std::optional<RequestParser> parser_;
    const Route* route_ = nullptr;
    std::string_view model_;  ///< whose engine answers, for the log
    std::string route_name_;  ///< empty: the request named a model
    std::string reason_;      ///< of the route's decision
    unsigned status_ = 0;
    TimePoint began_{};
    std::string cors_;  ///< header lines that let the page that asks read the answer
    std::string reply_head_;
    std::vector<std::string_view> reply_pieces_;
    boost::asio::cancellation_signal cancel_admin_;
    store::StopFlag stop_work_;
    bool keep_alive_ = true;
    bool draining_ = false;
    bool timed_out_ = false;
    bool first_ = true;
};

}  // namespace drover::gateway
