#include "gateway/classifier_exchange.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "gateway/dialect/chat_form.hpp"
#include "gateway/http_status.hpp"
#include "gateway/translated_relay.hpp"
#include "platform/clock.hpp"
#include "router/embedding_request.hpp"

namespace drover::gateway {

using platform::Task;
using std::chrono::milliseconds;

namespace {

/// A chat completion tells log-probabilities and can be bounded by a schema.
std::string_view path_for(const router::Classifier& classifier) {
    return classifier.embeds() ? "/v1/embeddings" : dialect::kChatPath;
}

std::string body_of(const ClassifierQuestion& question, bool remote) {
    const router::Classifier& classifier = question.classifier;
    if (classifier.embeds()) {
        return router::embedding_body(classifier.model, std::array{question.text});
    }
    return router::classifier_body(
        classifier,
        question.text,
        remote ? router::SchemaShape::object : router::SchemaShape::word);
}

Task<Result<router::Prediction>> ask(control::Fleet& fleet,
                                     Turn& turn,
                                     ClassifierQuestion question) {
    const router::Classifier& classifier = question.classifier;
    const TimePoint began = platform::now();
    const auto model = fleet.find(classifier.model);
    if (!model.ok()) {
        co_return model.error();
    }
    const control::ModelView* view = fleet.look(*model);
    const bool remote = view != nullptr && !view->servers.empty();
    const std::string body = body_of(question, remote);
    TranslatedRelay relay;
    const control::AcquireOptions options{.queue_timeout = classifier.timeout,
                                          .local_only = question.local_only};
    Turn::Asked asked{.head = question.head,
                      .body = body,
                      .model = *model,
                      .acquire = options,
                      .may_load = !classifier.embeds(),
                      .path = path_for(classifier),
                      .relay = &relay};
    Status status = co_await turn.hold(asked);
    if (status.ok()) {
        asked.verdict_within =
            std::max(classifier.timeout - platform::since(began), milliseconds(1));
        status = co_await turn.run(asked);
    }
    turn.release();
    if (!status.ok()) {
        co_return status.error();
    }
    if (relay.status() != kHttpOk) {
        co_return Error{ErrorCode::engine_failed,
                        "it answered with status " + std::to_string(relay.status())};
    }
    co_return classifier.embeds() ? router::read_opinion(classifier, relay.body())
                                  : router::read_classification(classifier, relay.body());
}

}  // namespace

Task<router::Classification> ask_classifier(control::Fleet& fleet,
                                            Turn& turn,
                                            ClassifierQuestion question) {
    const TimePoint began = platform::now();
    const auto prediction = co_await ask(fleet, turn, question);
    router::Classification said{.took = platform::since(began)};
    if (prediction.ok()) {
        said.prediction = *prediction;
    } else {
        said.failure = prediction.error().message;
    }
    co_return said;
}

}  // namespace drover::gateway
