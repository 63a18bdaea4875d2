// Labelled prompts to train and judge predictors with. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::router {

/// Answers scored between 0 and 1 count as right from here.
inline constexpr double kRight = 0.5;

/// What a predictor tells of a prompt.
enum class Purpose : std::uint32_t {
    task = 1,        ///< which of several labels it has
    complexity = 2,  ///< whether a weak and a strong model would answer it right
};

std::string_view to_string(Purpose purpose);

/// Labels that a predictor tells apart at most.
inline constexpr std::size_t kHeadsMax = 32;

/// One for each label.
using Probabilities = std::array<float, kHeadsMax>;

struct Example {
    std::string prompt;
    std::uint32_t label = 0;  ///< for tasks: its place in Dataset::labels
    bool weak = false;        ///< for complexity: the weak model answered right
    bool strong = false;
    std::uint32_t group = 0;  ///< its place in Dataset::groups
};

struct Dataset {
    Purpose purpose = Purpose::task;
    std::vector<Example> examples;
    std::vector<std::string> labels;  ///< sorted; for complexity "weak" and "strong"
    std::vector<std::string> groups;  ///< in order of appearance
    std::uint64_t digest = 0;         ///< FNV-1a of the text it was read from
    /// Examples from here on are trained on and never judged; see add_examples().
    std::size_t judged = 0;
};

/// Which members of a line's object hold what. Empty: the first of the usual names that is there.
struct DatasetFields {
    std::string label;   ///< usual: label, task
    std::string group;   ///< usual: group, source, subject
    std::string weak;    ///< usual: weak; else a model's name in "correct"
    std::string strong;  ///< usual: strong
};

/// Reads one JSON object a line: {"prompt", label} or {"prompt", "weak", "strong"} or {"prompt",
/// "correct": {"model": true, ...}}, the last two with true, false or a number in [0, 1].
/// `invalid_argument` names the line and what is wrong with it.
Result<Dataset> parse_dataset(std::string_view jsonl, const DatasetFields& fields = {});

/// Puts the examples of `more` behind those of `data`: to be trained on, never to be judged.
/// `invalid_argument`: they have another purpose.
Status add_examples(Dataset& data, const Dataset& more);

/// Makes the labels those of a predictor, `labels`, of which the data may lack some.
/// `invalid_argument` names one that is not among them.
Status take_labels(Dataset& data, const std::vector<std::string>& labels);

/// FNV-1a, 64 bits: tells whether two texts are the same, not whether somebody tampered with one.
std::uint64_t fnv64(std::string_view bytes);

}  // namespace drover::router
