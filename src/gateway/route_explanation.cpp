#include "gateway/route_explanation.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>

#include "base/language.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway {

namespace json = boost::json;

namespace {

json::object predicted_complexity_of(const router::Policy& policy,
                                     const router::Decision& decision) {
    const router::Prediction& prediction = *decision.complexity;
    return {
        {"score", prediction.score},
        {"threshold", std::clamp(router::needed_score(*policy.complexity, decision), -1.0, 1.0)},
        {"weak_right", prediction.probabilities[0]},
        {"strong_right", prediction.probabilities[1]},
        {"only_strong_right", prediction.confidence}};
}

json::object task_of(const router::Policy& policy, const router::Decision& decision) {
    const router::Prediction& prediction = *decision.task;
    const std::vector<std::string>& labels = policy.task->labels();
    json::object probabilities;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        probabilities.emplace(labels[i], prediction.probabilities[i]);
    }
    json::object task{{"label", labels[prediction.label]},
                      {"confidence", prediction.confidence},
                      {"needed", router::needed_confidence(*policy.task, decision)},
                      {"probabilities", std::move(probabilities)}};
    if (decision.asked.task.has_value()) {
        task["classifier"] = classification_of(*policy.task->classifier, *decision.asked.task);
    }
    return task;
}

json::object complexity_of(const router::Policy& policy, const router::Decision& decision) {
    const router::Prediction& prediction = *decision.complexity;
    const auto& asked = decision.asked.complexity;
    const auto& classifier = policy.complexity->classifier;
    if (asked.has_value() && asked->prediction.has_value() && !classifier->embeds()) {
        return {{"label", router::kComplexityLabels.at(prediction.label)},
                {"easy", prediction.probabilities[0]},
                {"hard", prediction.probabilities[1]},
                {"needed", classifier->confidence},
                {"classifier", classification_of(*classifier, *asked)}};
    }
    json::object complexity = predicted_complexity_of(policy, decision);
    if (asked.has_value()) {
        complexity["classifier"] = classification_of(*classifier, *asked);
    }
    return complexity;
}

json::object cascade_of(const router::Policy& policy,
                        const router::RequestFacts& facts,
                        const router::Decision& decision) {
    json::array models;
    for (const router::Target target : policy.cascade->models) {
        models.emplace_back(policy.targets[target]);
    }
    json::array judged;
    for (std::size_t place = 0; place < decision.order.size(); ++place) {
        if (router::is_checked(policy, facts, decision, place)) {
            judged.emplace_back(policy.targets[decision.order[place]]);
        }
    }
    const router::Demands& demands = policy.cascade->demands;
    return {{"models", std::move(models)},
            {"judged", std::move(judged)},
            {"confidence", demands.confidence},
            {"calibrated", demands.calibration != nullptr},
            {"hold", demands.tokens}};
}

/// What was looked at, the last of which decided.
json::array stages_of(const router::Policy& policy, const router::Decision& decision) {
    json::array stages;
    std::size_t rule = 0;
    const auto add = [&](router::Stage stage, std::string_view outcome, const std::string& why) {
        json::object entry{{"stage", router::to_string(stage)}, {"outcome", outcome}, {"why", why}};
        if (stage == router::Stage::rule) {
            entry["rule"] = valid_utf8(policy.rules[rule++].text);
        }
        stages.emplace_back(std::move(entry));
    };
    for (const router::Passed& passed : decision.passed) {
        add(passed.stage, "passed", passed.why);
    }
    add(decision.stage, "decided", decision.reason);
    return stages;
}

}  // namespace

json::object classification_of(const router::Classifier& classifier,
                               const router::Classification& said) {
    json::object object{{"model", valid_utf8(classifier.model)},
                        {"answered", said.prediction.has_value()},
                        {"cached", said.cached},
                        {"ms", said.took.count()}};
    if (!said.failure.empty()) {
        object["failure"] = valid_utf8(said.failure);
    }
    return object;
}

json::object explanation_of(const NamedRoute& route,
                            const router::RequestFacts& facts,
                            const Choice& choice) {
    const router::Policy& policy = route.policy;
    json::array order;
    for (const router::Target target : choice.targets) {
        order.emplace_back(policy.targets[target]);
    }
    json::array targets;
    for (std::size_t i = 0; i < policy.targets.size(); ++i) {
        targets.emplace_back(json::object{{"model", policy.targets[i]},
                                          {"usable", choice.states[i].usable},
                                          {"hot", choice.states[i].hot},
                                          {"expected_ms", choice.states[i].expected_ms},
                                          {"bytes", choice.states[i].bytes.count()}});
    }
    const router::Decision& decision = choice.decision;
    json::object result{{"route", route.name},
                        {"models", std::move(order)},
                        {"stage", router::to_string(decision.stage)},
                        {"reason", decision.reason},
                        {"stages", stages_of(policy, decision)},
                        {"facts",
                         json::object{{"text_bytes", facts.bytes},
                                      {"messages", facts.messages},
                                      {"tools", facts.tools},
                                      {"images", facts.images},
                                      {"endpoint", facts.endpoint},
                                      {"language", language_of(facts.text)}}},
                        {"targets", std::move(targets)}};
    if (decision.task.has_value()) {
        result.emplace("task", task_of(policy, decision));
    }
    if (decision.complexity.has_value()) {
        result.emplace("complexity", complexity_of(policy, decision));
    }
    if (policy.cascade.has_value()) {
        result.emplace("cascade", cascade_of(policy, facts, decision));
    }
    return result;
}

}  // namespace drover::gateway
