#include "gateway/classifier_exchange.hpp"

#include <algorithm>
#include <chrono>
#include <string>

#include "gateway/translated_relay.hpp"
#include "platform/clock.hpp"

namespace drover::gateway {

using platform::Task;
using std::chrono::milliseconds;

namespace {

constexpr unsigned kOk = 200;

/// Where log-probabilities are told and answers are bounded by a schema.
constexpr std::string_view kPath = "/v1/chat/completions";

milliseconds since(TimePoint when) {
    return std::chrono::duration_cast<milliseconds>(platform::now() - when);
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
    const std::string body =
        router::classifier_body(classifier,
                                question.text,
                                remote ? router::SchemaShape::object : router::SchemaShape::word);
    TranslatedRelay relay;
    const control::AcquireOptions options{.queue_timeout = classifier.timeout,
                                          .local_only = question.local_only};
    Turn::Asked asked{.head = question.head,
                      .body = body,
                      .model = *model,
                      .acquire = options,
                      .path = kPath,
                      .relay = &relay};
    Status status = co_await turn.hold(asked);
    if (status.ok()) {
        asked.verdict_within = std::max(classifier.timeout - since(began), milliseconds(1));
        status = co_await turn.run(asked);
    }
    turn.release();
    if (!status.ok()) {
        co_return status.error();
    }
    if (relay.status() != kOk) {
        co_return Error{ErrorCode::engine_failed,
                        "it answered with status " + std::to_string(relay.status())};
    }
    co_return router::read_classification(classifier, relay.body());
}

}  // namespace

Task<router::Classification> ask_classifier(control::Fleet& fleet,
                                            Turn& turn,
                                            ClassifierQuestion question) {
    const TimePoint began = platform::now();
    const auto prediction = co_await ask(fleet, turn, question);
    router::Classification said{.took = since(began)};
    if (prediction.ok()) {
        said.prediction = *prediction;
    } else {
        said.failure = prediction.error().message;
    }
    co_return said;
}

}  // namespace drover::gateway
