#include "router/policy.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace drover::router {

namespace {

/// How much sooner the large model must be able to begin to be taken where the small one would do.
constexpr std::uint32_t kSoonerMs = 500;

constexpr char kNone[] = "none of its models is there and can do this";

Prediction predict(const Predictor& predictor,
                   std::string_view text,
                   std::vector<Featurizer>& featurizers) {
    const FeatureOptions& options = predictor.facts().features;
    auto found = std::find_if(featurizers.begin(), featurizers.end(), [&](const Featurizer& one) {
        return one.options() == options;
    });
    if (found == featurizers.end()) {
        found = featurizers.insert(featurizers.end(), Featurizer(options));
    }
    return predictor.predict(found->read(text));
}

/// Whether a model may be asked what to do with this request: it is a text that asks for another.
bool is_worth_asking(const RequestFacts& facts) {
    return !facts.text.empty() && (facts.endpoint == "chat" || facts.endpoint == "completion");
}

bool has_said(const std::optional<Classification>& asked) {
    return asked.has_value() && asked->prediction.has_value();
}

/// Who decided when it was not the predictor alone.
std::string by_whom(const std::optional<Classifier>& classifier,
                    const std::optional<Classification>& asked) {
    if (!classifier.has_value() || !asked.has_value()) {
        return "";
    }
    const bool embeds = classifier->embeds();
    return has_said(asked) ? (embeds ? " (with " : " (says ") + classifier->model + ")"
                           : (embeds ? " (without " + classifier->model + ": "
                                     : " (" + classifier->model + " did not say: ") +
                                 asked->failure + ")";
}

const std::vector<Target>* models_of(const PolicyTask& task, std::uint32_t label) {
    for (const auto& [number, models] : task.models) {
        if (number == label) {
            return &models;
        }
    }
    return nullptr;
}

/// Builds one decision.
class Decider {
  public:
    Decider(const Policy& policy,
            const RequestFacts& facts,
            std::span<const TargetState> states,
            std::vector<Featurizer>& featurizers)
        : policy_(policy), facts_(facts), states_(states), featurizers_(featurizers) {}

    /// Whether a rule decides.
    bool by_rules() {
        for (std::size_t i = 0; i < policy_.rules.size(); ++i) {
            const PolicyRule& rule = policy_.rules[i];
            const std::string name = "rule " + std::to_string(i + 1);
            const bool met = meets(facts_, rule);
            if (met && any_usable(rule.use)) {
                prefer(rule.use, true);
                decided(Stage::rule, name);
                return true;
            }
            passed(Stage::rule,
                   name + (met ? std::string(" is met, but ") + kNone : " is not met"));
        }
        return false;
    }

    /// Whether the conversation stays with its model, which it does unless its task has changed.
    bool by_affinity(const Earlier& earlier, std::uint32_t label) {
        if (!usable(earlier.target)) {
            passed(Stage::affinity, "the conversation's model is not there, or cannot do this");
            return false;
        }
        if (label != kNoLabel && label != earlier.label) {
            passed(Stage::affinity, "the conversation has another task now");
            return false;
        }
        prefer(std::array{earlier.target}, false);
        rest_of_cascade();
        decided(Stage::affinity, "the conversation stays with its model");
        return true;
    }

    /// Whether a model is named for the label that was recognised.
    bool by_task(const PolicyTask& stage, std::uint32_t label) {
        const Prediction& task = *decision.task;
        const std::string name = "task " + stage.labels()[task.label];
        const std::string confidence = ", confidence " + two_decimals(task.confidence);
        const std::vector<Target>* models = models_of(stage, label);
        if (models != nullptr && any_usable(*models)) {
            prefer(*models, true);
            decided(Stage::task,
                    name + confidence + by_whom(stage.classifier, decision.asked.task));
            return true;
        }
        passed(Stage::task,
               label == kNoLabel ? name + confidence + ", is below " +
                                       two_decimals(needed_confidence(stage, decision))
               : models == nullptr ? name + confidence + ", has no model"
                                   : name + confidence + ": " + kNone);
        return false;
    }

    /// Whether any of the stage's models may be asked.
    bool may_ask(Stage stage, std::span<const Target> targets) {
        if (any_usable(targets)) {
            return true;
        }
        passed(stage, kNone);
        return false;
    }

    /// What the task is, or whom to ask. A conversation that has its model is not worth asking for.
    void read_task(const PolicyTask& stage,
                   const std::optional<Classification>& asked,
                   bool has_model) {
        if (stage.classifier.has_value()) {
            if (has_model && !stage.classifier->embeds()) {
                return;
            }
            decision.asked.task = asked;
            if (!asked.has_value() && is_worth_asking(facts_)) {
                decision.asks = Purpose::task;
                return;
            }
        }
        decision.task = predicted(*stage.predictor, stage.classifier, decision.asked.task);
    }

    /// Decides by the complexity, or says whom to ask.
    void read_complexity(const PolicyComplexity& stage,
                         const std::optional<Classification>& asked) {
        if (stage.classifier.has_value()) {
            decision.asked.complexity = asked;
            if (!asked.has_value() && is_worth_asking(facts_)) {
                decision.asks = Purpose::complexity;
                return;
            }
        }
        decision.complexity =
            predicted(*stage.predictor, stage.classifier, decision.asked.complexity);
        if (has_said(decision.asked.complexity) && !stage.classifier->embeds()) {
            by_classifier(stage, *decision.complexity);
        } else {
            by_complexity(stage, *decision.complexity);
            decision.reason += by_whom(stage.classifier, decision.asked.complexity);
        }
    }

    /// What the stage's language model says; what the words say, with the embedding where there is
    /// one.
    Prediction predicted(const Predictor& predictor,
                         const std::optional<Classifier>& classifier,
                         const std::optional<Classification>& asked) {
        if (has_said(asked) && !classifier->embeds()) {
            return *asked->prediction;
        }
        const Prediction words = predict(predictor, facts_.text, featurizers_);
        return has_said(asked) ? predictor.sum(words, asked->prediction->probabilities) : words;
    }

    bool usable(Target target) const { return states_[target].usable; }
    bool any_usable(std::span<const Target> targets) const {
        return std::any_of(
            targets.begin(), targets.end(), [this](Target one) { return usable(one); });
    }

    /// Appends what is usable and not there yet. Of equally good ones the soonest comes first.
    void prefer(std::span<const Target> targets, bool equal) {
        std::vector<Target> sorted(targets.begin(), targets.end());
        if (equal) {
            std::stable_sort(sorted.begin(), sorted.end(), [this](Target a, Target b) {
                return states_[a].expected_ms < states_[b].expected_ms;
            });
        }
        for (const Target target : sorted) {
            const bool there = std::find(decision.order.begin(), decision.order.end(), target) !=
                               decision.order.end();
            if (usable(target) && !there) {
                decision.order.push_back(target);
            }
        }
    }

    void passed(Stage stage, std::string why) {
        decision.passed.push_back({stage, std::move(why)});
    }

    void decided(Stage stage, std::string reason) {
        decision.stage = stage;
        decision.reason = std::move(reason);
    }

    void by_complexity(const PolicyComplexity& stage, const Prediction& prediction) {
        const std::string score = two_decimals(prediction.score);
        const double needed = needed_score(stage, decision);
        const std::string threshold = two_decimals(needed);
        const bool hard = prediction.score >= needed;
        const TargetState& small = states_[stage.small];
        const TargetState& large = states_[stage.large];
        const bool sooner = small.usable && large.usable && large.hot && !stage.by_budget &&
                            large.expected_ms + kSoonerMs < small.expected_ms;
        const std::array<Target, 2> order = hard || sooner ? std::array{stage.large, stage.small}
                                                           : std::array{stage.small, stage.large};
        prefer(order, false);
        decided(Stage::complexity,
                hard     ? "complexity " + score + " is at or above " + threshold
                : sooner ? "complexity " + score + " is below " + threshold +
                               ", but the larger model is in memory"
                         : "complexity " + score + " is below " + threshold);
    }

    /// What the stage's model said; there is no threshold to learn for it, it says how sure it is.
    void by_classifier(const PolicyComplexity& stage, const Prediction& prediction) {
        const bool easy = prediction.probabilities[0] >= stage.classifier->confidence;
        prefer(easy ? std::array{stage.small, stage.large} : std::array{stage.large, stage.small},
               false);
        decided(Stage::complexity,
                stage.classifier->model + " says " +
                    std::string(kComplexityLabels.at(prediction.label)) + "; easy " +
                    two_decimals(prediction.probabilities[0]) +
                    (easy ? " is at or above " : " is below ") +
                    two_decimals(stage.classifier->confidence));
    }

    void by_cascade(const PolicyCascade& stage, bool tells_logprobs) {
        std::vector<Target> order = stage.models;
        if (!tells_logprobs) {
            // Nobody can say how good the first one's answer is: quality first.
            std::reverse(order.begin(), order.end());
        }
        prefer(order, false);
        decided(Stage::cascade,
                tells_logprobs ? "cascade" : "cascade: over this API no answer can be judged");
    }

    /// The models of the cascade that come after the one that is tried first.
    void rest_of_cascade() {
        if (!policy_.cascade.has_value() || decision.order.empty()) {
            return;
        }
        const std::vector<Target>& models = policy_.cascade->models;
        const auto first = std::find(models.begin(), models.end(), decision.order.front());
        if (first != models.end()) {
            prefer(std::vector<Target>(first + 1, models.end()), false);
        }
    }

    Decision decision;

  private:
    const Policy& policy_;
    const RequestFacts& facts_;
    std::span<const TargetState> states_;
    std::vector<Featurizer>& featurizers_;
};

}  // namespace

std::string_view to_string(Stage stage) {
    switch (stage) {
        case Stage::rule:
            return "rule";
        case Stage::affinity:
            return "affinity";
        case Stage::task:
            return "task";
        case Stage::complexity:
            return "complexity";
        case Stage::cascade:
            return "cascade";
        case Stage::fallback:
            return "fallback";
    }
    DROVER_UNREACHABLE();
}

double needed_confidence(const PolicyTask& task, const Decision& decision) {
    return has_said(decision.asked.task) ? task.classifier->confidence : task.confidence;
}

double needed_score(const PolicyComplexity& complexity, const Decision& decision) {
    return has_said(decision.asked.complexity) ? complexity.sum_threshold : complexity.threshold;
}

std::uint32_t recognised(const Policy& policy, const Decision& decision) {
    return decision.task.has_value() &&
                   decision.task->confidence >= needed_confidence(*policy.task, decision)
               ? decision.task->label
               : kNoLabel;
}

Decision decide(const Policy& policy,
                const RequestFacts& facts,
                std::span<const TargetState> states,
                std::optional<Earlier> earlier,
                std::vector<Featurizer>& featurizers,
                const Classifications& asked) {
    DROVER_ASSERT(states.size() == policy.targets.size());
    Decider decider(policy, facts, states, featurizers);
    Decision& decision = decider.decision;
    const auto finish = [&] {
        decider.prefer(policy.fallback, false);
        return std::move(decision);
    };
    if (decider.by_rules()) {
        return finish();
    }
    if (policy.task.has_value()) {
        const bool stays = earlier.has_value() && decider.usable(earlier->target);
        decider.read_task(*policy.task, asked.task, stays);
        if (decision.asks.has_value()) {
            return std::move(decision);
        }
    }
    const std::uint32_t label = recognised(policy, decision);
    if (earlier.has_value() && decider.by_affinity(*earlier, label)) {
        return finish();
    }
    if (policy.task.has_value() && decider.by_task(*policy.task, label)) {
        return finish();
    }
    if (policy.complexity.has_value() &&
        decider.may_ask(Stage::complexity,
                        std::array{policy.complexity->small, policy.complexity->large})) {
        decider.read_complexity(*policy.complexity, asked.complexity);
        if (decision.asks.has_value()) {
            return std::move(decision);
        }
        decider.rest_of_cascade();
        return finish();
    }
    if (policy.cascade.has_value() && decider.may_ask(Stage::cascade, policy.cascade->models)) {
        decider.by_cascade(*policy.cascade, facts.tells_logprobs);
        return finish();
    }
    decider.decided(Stage::fallback, "no stage decided");
    return finish();
}

bool is_checked(const Policy& policy,
                const RequestFacts& facts,
                const Decision& decision,
                std::size_t place) {
    const bool guessed = decision.stage == Stage::cascade || decision.stage == Stage::complexity ||
                         decision.stage == Stage::affinity;
    if (!policy.cascade.has_value() || !facts.tells_logprobs || !guessed) {
        return false;
    }
    const std::vector<Target>& models = policy.cascade->models;
    const auto own = std::find(models.begin(), models.end(), decision.order[place]);
    return own != models.end() &&
           std::any_of(decision.order.begin() + static_cast<std::ptrdiff_t>(place) + 1,
                       decision.order.end(),
                       [&](Target later) {
                           return std::find(own + 1, models.end(), later) != models.end();
                       });
}

float threshold_for_quality(std::span<const FrontierPoint> points, double share) {
    if (points.empty()) {
        return -std::numeric_limits<float>::infinity();
    }
    const double wanted = share * points.back().quality;
    for (const FrontierPoint& point : points) {
        if (point.quality >= wanted) {
            return point.threshold;
        }
    }
    return points.back().threshold;
}

float threshold_for_budget(std::span<const FrontierPoint> points, double share) {
    float threshold = std::numeric_limits<float>::infinity();
    for (const FrontierPoint& point : points) {
        if (point.share > share + 1e-6) {
            break;
        }
        threshold = point.threshold;
    }
    return threshold;
}

}  // namespace drover::router
