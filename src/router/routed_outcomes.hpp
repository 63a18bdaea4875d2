// What a server's log of routed requests teaches: its requests joined with what people said of
// them. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "router/dataset.hpp"
#include "router/isotonic.hpp"

namespace drover::router {

/// Whether `jsonl` is such a log: its first line is a request or feedback.
bool is_routing_log(std::string_view jsonl);

/// What a log was made into.
struct LabelledPrompts {
    std::string jsonl{};       ///< for parse_dataset
    std::size_t used = 0;      ///< lines of it
    std::size_t left_out = 0;  ///< prompts with feedback that does not suffice
};

/// Prompts with the label that feedback gave them; without labels, or where `fields` name two
/// models, prompts that more than one model has answered, with who was right. The last feedback on
/// a request counts. `invalid_argument` when nothing comes of it: says what is missing.
Result<LabelledPrompts> labelled_prompts(std::string_view log, const DatasetFields& fields = {});

/// Scores of the answers that a cascade let through, and whether they were right.
/// `invalid_argument` when there is none.
Result<std::vector<Observation>> scored_answers(std::string_view log);

}  // namespace drover::router
