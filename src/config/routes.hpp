// Routes as a user writes them: names that clients can ask for, and how the model that answers is
// chosen. Plain structs. docs/routing.md explains each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace drover::config {

/// Requests that meet every condition that is set go to `use`.
struct RouteRule {
    std::optional<bool> tools;                 ///< the request offers tools
    std::optional<bool> images;                ///< it has images
    std::optional<std::uint32_t> longer_than;  ///< bytes of text in all
    std::string contains;                      ///< in the last user's message, whatever its case
    std::vector<std::string> use;              ///< models, the preferred one first
};

/// Which models answer which task.
struct TaskStage {
    std::filesystem::path predictor;  ///< empty: the one that comes with Drover
    double confidence = 0.5;          ///< below: the next stage decides
    std::vector<std::pair<std::string, std::vector<std::string>>> models;  ///< by label
};

/// The small model where it will do, else the large one. At most one of the last three is set.
struct ComplexityStage {
    std::filesystem::path predictor;
    std::string small;
    std::string large;
    std::optional<double> quality;    ///< share of the large model's quality to keep
    std::optional<double> budget;     ///< share of requests that may go to the large model
    std::optional<double> threshold;  ///< of the score: from here on the large model
};

/// One entry of `routes:`. Stages decide in this order; what they leave open the next one decides.
struct RouteEntry {
    std::string name;
    std::vector<RouteRule> rules;
    std::optional<TaskStage> task;
    std::optional<ComplexityStage> complexity;
    std::vector<std::string> fallback;  ///< when no stage decides, and when the chosen model fails
    bool affinity = true;               ///< a conversation stays with its model
    bool local_only = false;            ///< its requests never go to a remote model
    std::string where;                  ///< "drover.yaml:12"
};

}  // namespace drover::config
