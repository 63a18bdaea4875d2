// Routes as a user writes them: names that clients can ask for, and how the model that answers is
// chosen. Plain structs. docs/routing.md explains each.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::config {

/// What an endpoint is for, as rules name it.
inline constexpr std::array<std::string_view, 5> kEndpointKinds{
    "chat", "completion", "embedding", "rerank", "other"};

/// Requests that meet every condition that is set go to `use`.
struct RouteRule {
    std::vector<std::string> endpoints;        ///< kinds (see kEndpointKinds) or paths
    std::optional<bool> tools;                 ///< the request offers tools
    std::optional<bool> images;                ///< it has images
    std::optional<std::uint32_t> longer_than;  ///< bytes of text in all
    std::optional<std::uint32_t> shorter_than;
    std::string contains;                ///< in the last user's message, whatever its case
    std::string matches;                 ///< the same as a regular expression; empty: any
    std::vector<std::string> languages;  ///< of that message, by ISO 639-1 codes
    /// By name, in lower case: a regular expression for the whole value.
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> use;  ///< models, the preferred one first
    std::string text;              ///< all of it as it was written, in one line
    std::string where;             ///< "drover.yaml:12"
};

/// Labels that a task stage tells apart at most: what a prediction has room for.
inline constexpr std::size_t kTaskLabelsMax = 32;

/// A model that is asked before a predictor decides.
struct ClassifierModel {
    std::string model;    ///< never a route
    bool embeds = false;  ///< for an embedding, which the predictor reads; else for a label
    std::chrono::milliseconds timeout{2000};  ///< until the predictor decides instead
    double confidence = 0.5;                  ///< that its label needs, or `easy`
    std::uint32_t prompt = 2000;              ///< bytes of the user's message that it is shown
    /// What labels mean, where the word alone does not say it.
    std::vector<std::pair<std::string, std::string>> meanings;
    std::string where;  ///< "drover.yaml:12"
};

/// The models that answer one task, the preferred one first.
struct TaskModels {
    std::string label;
    std::vector<std::string> models;
    std::string where;
};

/// Which models answer which task.
struct TaskStage {
    std::optional<ClassifierModel> classifier;
    std::filesystem::path predictor;  ///< empty: the one that comes with Drover
    double confidence = 0.5;          ///< below: the next stage decides
    std::vector<TaskModels> models;
    std::string where;
};

/// The small model where it will do, else the large one. At most one of the last three is set.
struct ComplexityStage {
    std::optional<ClassifierModel> classifier;
    std::filesystem::path predictor;
    std::string small;
    std::string large;
    std::optional<double> quality;    ///< share of the large model's quality to keep
    std::optional<double> budget;     ///< share of requests that may go to the large model
    std::optional<double> threshold;  ///< of the score: from here on the large model
    std::string where;
};

/// The first model answers; while its answer is not sure enough, the next one does.
struct CascadeStage {
    std::vector<std::string> models;         ///< at least two, the first to answer first
    double confidence = 0.7;                 ///< that an answer must have to be right
    std::filesystem::path calibration;       ///< of scores; empty: they are taken as they are
    std::uint32_t hold = 48;                 ///< tokens of a stream that are held back at most
    std::chrono::milliseconds wait{20'000};  ///< longest until there is a verdict
    std::string where;
};

/// One entry of `routes:`. Stages decide in this order; what they leave open the next one decides.
struct RouteEntry {
    std::string name;
    std::vector<RouteRule> rules;
    std::optional<TaskStage> task;
    std::optional<ComplexityStage> complexity;
    std::optional<CascadeStage> cascade;
    std::vector<std::string> fallback;  ///< when no stage decides, and when the chosen model fails
    bool affinity = true;               ///< a conversation stays with its model
    bool local_only = false;            ///< its requests never go to a remote model
    std::string where;                  ///< "drover.yaml:12"
};

/// What is kept of routed requests.
enum class RoutingLogLevel {
    off,
    outcomes,  ///< decisions and how they went
    prompts,   ///< the same with the text that was decided by
};

struct RoutingConfig {
    RoutingLogLevel log = RoutingLogLevel::off;
    std::filesystem::path file;  ///< set after loading
    Bytes size{64_MiB};          ///< of the file and its predecessor together
};

/// "off", "outcomes" or "prompts".
Result<RoutingLogLevel> parse_routing_log(std::string_view text);

/// A model that a route names.
struct ModelUse {
    std::string model;
    std::string path;   ///< of the setting that names it: "routes.auto.fallback"
    std::string where;  ///< "drover.yaml:12"
};

/// All that may answer, and those that are asked what to do.
std::vector<ModelUse> uses_of(const RouteEntry& route);

/// The models that it asks what to do.
std::vector<ClassifierModel> classifiers_of(const RouteEntry& route);

}  // namespace drover::config
