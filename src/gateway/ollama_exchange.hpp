// One request in Ollama's words, answered with as many requests to the engine as that takes. On the
// loop only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "control/fleet.hpp"
#include "gateway/client_connection.hpp"
#include "gateway/dialect/ollama_answer.hpp"
#include "gateway/dialect/ollama_embedding.hpp"
#include "gateway/dialect/ollama_request.hpp"
#include "gateway/reply.hpp"
#include "gateway/request.hpp"
#include "gateway/translated_relay.hpp"
#include "gateway/turn.hpp"

namespace drover::gateway {

/// Lives for one request. Holds one lease for all that it asks of the engine.
class OllamaExchange {
  public:
    /// What is asked of which model.
    struct Asked {
        const RequestHead& head;
        dialect::OllamaCall call;
        const boost::json::object& request;
        ModelId model;
        std::string name;  ///< of the model, as the client wrote it
        control::AcquireOptions acquire;
        dialect::Instant since;  ///< when the request came
        std::string headers{};   ///< further lines of the response's head
        /// Judges a generation; a weak one is not sent. Null: nobody does.
        dialect::WatchedAnswer* watched = nullptr;
        std::optional<std::chrono::milliseconds> verdict_within{};  ///< see Turn::Asked
    };

    /// What came of it.
    struct Outcome {
        std::optional<Reply> reply{};  ///< still to be sent; nullopt: the client has its answer
        unsigned status = 200;
        bool client_keeps_alive = true;
        bool withheld = false;  ///< the answer was judged weak, and nothing of it was sent
    };

    /// All of `asked` outlives the exchange.
    OllamaExchange(const control::Fleet& fleet, Turn& turn, ClientConnection& client, Asked asked);
    OllamaExchange(const OllamaExchange&) = delete;
    OllamaExchange& operator=(const OllamaExchange&) = delete;
    ~OllamaExchange() { turn_.release(); }

    /// Answers the request.
    platform::Task<Outcome> run();

    /// The answer to a request that only unloads the model.
    static std::string unloaded(dialect::OllamaCall call, std::string_view name);

  private:
    platform::Task<Outcome> load();
    platform::Task<Outcome> generate(dialect::OllamaGeneration generation);
    platform::Task<Outcome> stream(dialect::OllamaGeneration& generation);
    platform::Task<Outcome> embed(dialect::OllamaEmbedding embedding);
    platform::Task<Outcome> show_prompt(const dialect::OllamaGeneration& generation);
    platform::Task<Status> continue_context(dialect::OllamaGeneration& generation);
    platform::Task<Status> send_generation(const dialect::OllamaGeneration& generation,
                                           TranslatedRelay& relay);
    platform::Task<Status> send_fitting(dialect::OllamaGeneration& generation,
                                        TranslatedRelay& relay);
    platform::Task<Status> shorten(dialect::OllamaEmbedding& embedding);
    platform::Task<Result<boost::json::value>> query(std::string_view path,
                                                     boost::json::object body);
    platform::Task<Result<std::string>> render(const dialect::OllamaGeneration& generation);
    platform::Task<Result<boost::json::array>> tokens_of(
        const dialect::OllamaGeneration& generation, std::string answer);
    platform::Task<Result<boost::json::array>> tokenise(boost::json::object body);
    platform::Task<Result<std::string>> detokenise(boost::json::array tokens);
    platform::Task<std::optional<boost::json::array>> context_after(
        const dialect::OllamaGeneration& generation, std::string text);
    bool on_vllm() const;
    platform::Task<Status> send(std::string_view path,
                                const boost::json::object& body,
                                TranslatedRelay& relay);
    std::optional<Reply> objection(const dialect::OllamaGeneration* generation) const;
    Reply engine_reply(unsigned status, std::string_view body) const;
    Outcome failed(const Status& status) const;

    const control::Fleet& fleet_;
    Turn& turn_;
    ClientConnection& client_;
    Asked asked_;
    dialect::OllamaAnswer answer_;
    std::string body_;
    std::string passed_;  ///< what a judged answer lets through
};

}  // namespace drover::gateway
