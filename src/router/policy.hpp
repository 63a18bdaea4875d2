// How a route chooses models for a request. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.hpp"
#include "router/classifier.hpp"
#include "router/facts.hpp"
#include "router/features.hpp"
#include "router/predictor.hpp"
#include "router/rule.hpp"
#include "router/verdict.hpp"

namespace drover::router {

struct PolicyTask {
    const Predictor* predictor = nullptr;  ///< outlives the policy
    double confidence = 0.5;
    std::vector<std::pair<std::uint32_t, std::vector<Target>>> models{};  ///< by number of label
    /// Asked first; the predictor decides where it says nothing. Its labels begin with the
    /// predictor's.
    std::optional<Classifier> classifier{};

    const std::vector<std::string>& labels() const {
        return classifier.has_value() ? classifier->labels : predictor->facts().labels;
    }
};

struct PolicyComplexity {
    const Predictor* predictor = nullptr;
    Target small = 0;
    Target large = 0;
    double threshold = 0;      ///< of the score: from here on the large model
    double sum_threshold = 0;  ///< the same of the sum of words and embedding
    bool by_budget = false;    ///< the large model costs something: never take it for speed
    std::optional<Classifier> classifier{};  ///< as for the task
};

/// The first model answers; while an answer is not sure enough, the next one does.
struct PolicyCascade {
    std::vector<Target> models{};
    Demands demands{};
};

/// A route's policy. Stages decide in this order: rules, affinity, task, complexity, cascade.
struct Policy {
    std::vector<std::string> targets{};  ///< names of models, each once
    std::vector<PolicyRule> rules{};
    std::optional<PolicyTask> task{};
    std::optional<PolicyComplexity> complexity{};
    std::optional<PolicyCascade> cascade{};
    std::vector<Target> fallback{};
};

/// What a target is and how it stands, at the moment of a decision.
struct TargetState {
    bool usable = false;            ///< there is such a model, and it can do what the request needs
    bool hot = false;               ///< it is in memory
    std::uint32_t expected_ms = 0;  ///< until the first token: waiting, loading, prefill
    Bytes bytes{};                  ///< of memory that it takes; 0: none of this machine's
};

/// Which stage decided.
enum class Stage {
    rule,
    affinity,
    task,
    complexity,
    cascade,
    fallback
};
std::string_view to_string(Stage stage);

/// A stage, or one of its rules, that was looked at and left the decision to the next.
struct Passed {
    Stage stage;
    std::string why;
};

/// What a policy chose and why.
struct Decision {
    std::vector<Target> order{};  ///< to be tried one after the other; empty: no target is usable
    Stage stage = Stage::fallback;
    std::optional<Prediction> task{};
    std::optional<Prediction> complexity{};
    std::string reason{};  ///< in words, one line
    std::vector<Passed> passed{};
    /// Nothing is decided yet: the classifier of this stage must be asked first.
    std::optional<Purpose> asks{};
    Classifications asked{};  ///< what the decision rests on
};

/// The confidence that the task of a decision needed: the classifier's, where that said it.
double needed_confidence(const PolicyTask& task, const Decision& decision);

/// The score from which the large model answers: another one where an embedding has its say.
double needed_score(const PolicyComplexity& complexity, const Decision& decision);

/// What was chosen for the conversation before, if anything.
struct Earlier {
    Target target;
    std::uint32_t label;  ///< kNoLabel: no task was recognised
};
inline constexpr std::uint32_t kNoLabel = UINT32_MAX;

/// The decision for a request with `facts`. `states` has one entry for each target. A conversation
/// stays where it was unless its task has changed; where a language model is the classifier it
/// stays, and nobody is asked. What `asked` lacks and the decision needs, Decision::asks tells:
/// ask, and call again. Time is that of reading the text's features once for each predictor; see
/// docs/routing.md for what that takes.
Decision decide(const Policy& policy,
                const RequestFacts& facts,
                std::span<const TargetState> states,
                std::optional<Earlier> earlier,
                std::vector<Featurizer>& featurizers,
                const Classifications& asked = {});

/// Whether the answer of the model at `place` of a decision's order is judged before anybody gets
/// it: it is one of the cascade's, a rule or the task did not ask for it by name, and another of
/// the cascade comes after it.
bool is_checked(const Policy& policy,
                const RequestFacts& facts,
                const Decision& decision,
                std::size_t place);

/// The label that a decision recognised with enough confidence, or kNoLabel.
std::uint32_t recognised(const Policy& policy, const Decision& decision);

/// The least score from which the large model must answer so that, on the prompts that the frontier
/// was measured with, `share` of the large model's quality is kept.
float threshold_for_quality(std::span<const FrontierPoint> frontier, double share);

/// The score from which the large model answers when it may have `share` of the requests.
float threshold_for_budget(std::span<const FrontierPoint> frontier, double share);

}  // namespace drover::router
