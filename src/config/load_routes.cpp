#include "config/load_routes.hpp"

#include <set>
#include <utility>

#include "config/load_rules.hpp"

namespace drover::config {

namespace {

namespace fs = std::filesystem;

class RouteReader {
  public:
    RouteReader(const fs::path& file, const RouteProblem& problem) : yaml_(file, problem) {}

    RouteEntry read(const YAML::Node& key, const YAML::Node& node) {
        const std::string name = key.IsScalar() ? key.Scalar() : "";
        RouteEntry entry;
        entry.name = name;
        entry.where = yaml_.place(key);
        const std::string path = "routes." + name;
        if (name.empty() || name.find_first_of(" \t\n\"'") != std::string::npos) {
            yaml_.problem(node, path, "a route's name has no spaces and no quotes");
        }
        if (!node.IsMap()) {
            yaml_.problem(node, path, "must be a mapping of stages");
            return entry;
        }
        yaml_.known(
            node,
            path,
            {"rules", "task", "complexity", "cascade", "fallback", "affinity", "local_only"});
        if (const YAML::Node rules = node["rules"]) {
            entry.rules = read_rules(yaml_, rules, path + ".rules");
        }
        if (const YAML::Node task = node["task"]) {
            read_task(task, path + ".task", entry.task.emplace());
            entry.task->where = yaml_.place(node, "task");
        }
        if (const YAML::Node complexity = node["complexity"]) {
            read_complexity(complexity, path + ".complexity", entry.complexity.emplace());
            entry.complexity->where = yaml_.place(node, "complexity");
        }
        if (const YAML::Node cascade = node["cascade"]) {
            read_cascade(cascade, path + ".cascade", entry.cascade.emplace());
            entry.cascade->where = yaml_.place(node, "cascade");
        }
        if (const YAML::Node fallback = node["fallback"]) {
            entry.fallback = yaml_.names(fallback, path + ".fallback");
        }
        yaml_.read_flag(node["affinity"], path + ".affinity", entry.affinity);
        yaml_.read_flag(node["local_only"], path + ".local_only", entry.local_only);
        if (entry.fallback.empty() && !entry.complexity.has_value() && !entry.cascade.has_value()) {
            yaml_.problem(node,
                          path + ".fallback",
                          "is missing; name the models that answer when no stage decides");
        }
        return entry;
    }

  private:
    void read_task(const YAML::Node& node, const std::string& path, TaskStage& stage) const {
        if (!node.IsMap()) {
            yaml_.problem(
                node, path, "must be a mapping from labels to models, such as {code: MODEL}");
            return;
        }
        for (const auto& member : node) {
            const std::string key = member.first.IsScalar() ? member.first.Scalar() : "";
            if (key == "classifier" || key == "embedding") {
                continue;
            } else if (key == "predictor") {
                yaml_.read_path(member.second, path + ".predictor", stage.predictor);
            } else if (key == "confidence") {
                yaml_.read_share(member.second, path + ".confidence", stage.confidence);
            } else {
                stage.models.push_back({.label = key,
                                        .models = yaml_.models(member.second, path + "." + key),
                                        .where = yaml_.place(member.first)});
            }
        }
        read_asked(node, path, stage.classifier);
        if (stage.models.empty()) {
            yaml_.problem(
                node, path, "names no label; write for instance {code: MODEL, math: MODEL}");
        }
        if (stage.models.size() > kTaskLabelsMax) {
            yaml_.problem(node,
                          path,
                          "names " + std::to_string(stage.models.size()) +
                              " labels; a route tells at most " + std::to_string(kTaskLabelsMax) +
                              " apart");
        }
    }

    /// The model that the stage at `node` asks, if it asks one.
    void read_asked(const YAML::Node& node,
                    const std::string& path,
                    std::optional<ClassifierModel>& asked) const {
        const YAML::Node classifier = node["classifier"];
        const YAML::Node embedding = node["embedding"];
        if (classifier && embedding) {
            yaml_.problem(node, path, "takes a classifier or an embedding, not both");
        }
        if (classifier) {
            read_classifier(classifier, path + ".classifier", asked.emplace());
        } else if (embedding) {
            read_embedding(embedding, path + ".embedding", asked.emplace());
        }
    }

    void read_embedding(const YAML::Node& node,
                        const std::string& path,
                        ClassifierModel& asked) const {
        constexpr std::chrono::milliseconds kTimeout{200};
        asked.where = yaml_.place(node);
        asked.embeds = true;
        asked.timeout = kTimeout;
        if (node.IsScalar()) {
            asked.model = yaml_.text(node, path);
            return;
        }
        if (!node.IsMap() || !node["model"]) {
            yaml_.problem(node, path, "must name a model that embeds, or be {model: MODEL}");
            return;
        }
        yaml_.known(node, path, {"model", "timeout"});
        asked.model = yaml_.text(node["model"], path + ".model");
        yaml_.read_duration(node["timeout"], path + ".timeout", asked.timeout);
    }

    void read_classifier(const YAML::Node& node,
                         const std::string& path,
                         ClassifierModel& classifier) const {
        constexpr std::uint32_t kPromptMin = 100;
        constexpr std::uint32_t kPromptMax = 8192;  // routing looks at no more of a message
        classifier.where = yaml_.place(node);
        if (!node.IsMap()) {
            yaml_.problem(node, path, "must be a mapping such as {model: MODEL}");
            return;
        }
        yaml_.known(node, path, {"model", "timeout", "confidence", "prompt", "labels"});
        if (const YAML::Node model = node["model"]) {
            classifier.model = yaml_.text(model, path + ".model");
        } else {
            yaml_.problem(node, path + ".model", "is missing; name a small model");
        }
        yaml_.read_duration(node["timeout"], path + ".timeout", classifier.timeout);
        yaml_.read_share(node["confidence"], path + ".confidence", classifier.confidence);
        yaml_.read_count(
            node["prompt"], path + ".prompt", kPromptMin, kPromptMax, classifier.prompt);
        read_meanings(node["labels"], path + ".labels", classifier);
    }

    void read_meanings(const YAML::Node& node,
                       const std::string& path,
                       ClassifierModel& classifier) const {
        constexpr std::size_t kMeaningMax = 200;  // bytes; the model reads it with every request
        if (!node) {
            return;
        }
        if (!node.IsMap()) {
            yaml_.problem(node, path, "must be a mapping from labels to what they mean");
            return;
        }
        for (const auto& member : node) {
            const std::string label = member.first.IsScalar() ? member.first.Scalar() : "";
            std::string meaning = yaml_.text(member.second, path + "." + label);
            if (meaning.size() > kMeaningMax) {
                yaml_.problem(member.second,
                              path + "." + label,
                              "is longer than " + std::to_string(kMeaningMax) + " bytes");
            }
            classifier.meanings.emplace_back(label, std::move(meaning));
        }
    }

    void read_complexity(const YAML::Node& node,
                         const std::string& path,
                         ComplexityStage& stage) const {
        if (!node.IsMap()) {
            yaml_.problem(node, path, "must be a mapping such as {small: MODEL, large: MODEL}");
            return;
        }
        yaml_.known(node,
                    path,
                    {"classifier",
                     "embedding",
                     "predictor",
                     "small",
                     "large",
                     "quality",
                     "budget",
                     "threshold"});
        read_asked(node, path, stage.classifier);
        yaml_.read_path(node["predictor"], path + ".predictor", stage.predictor);
        for (const auto& [key, target] :
             {std::pair("small", &stage.small), std::pair("large", &stage.large)}) {
            if (const YAML::Node model = node[key]) {
                *target = yaml_.text(model, path + "." + key);
            } else {
                yaml_.problem(node, path + "." + key, "is missing; name a model");
            }
        }
        if (!stage.small.empty() && stage.small == stage.large) {
            yaml_.problem(node, path, "has the same model as small and as large");
        }
        yaml_.read_share(node["quality"], path + ".quality", stage.quality);
        yaml_.read_share(node["budget"], path + ".budget", stage.budget);
        yaml_.read_share(node["threshold"], path + ".threshold", stage.threshold);
        if (stage.quality.has_value() + stage.budget.has_value() + stage.threshold.has_value() >
            1) {
            yaml_.problem(node, path, "takes one of quality, budget and threshold, not several");
        }
    }

    void read_cascade(const YAML::Node& node, const std::string& path, CascadeStage& stage) const {
        if (!node.IsMap()) {
            yaml_.problem(node, path, "must be a mapping such as {models: [SMALL, LARGE]}");
            return;
        }
        yaml_.known(node, path, {"models", "confidence", "calibration", "hold", "wait"});
        if (const YAML::Node models = node["models"]) {
            stage.models = yaml_.names(models, path + ".models");
        }
        const std::set<std::string> different(stage.models.begin(), stage.models.end());
        if (different.size() < 2 || different.size() != stage.models.size()) {
            yaml_.problem(node, path + ".models", "must name two or more different models");
        }
        constexpr std::uint32_t kHoldMax = 4096;
        yaml_.read_share(node["confidence"], path + ".confidence", stage.confidence);
        yaml_.read_path(node["calibration"], path + ".calibration", stage.calibration);
        yaml_.read_count(node["hold"], path + ".hold", 1, kHoldMax, stage.hold);
        yaml_.read_duration(node["wait"], path + ".wait", stage.wait);
    }

    YamlReader yaml_;
};

}  // namespace

std::vector<RouteEntry> read_routes(const YAML::Node& node,
                                    const fs::path& file,
                                    const RouteProblem& problem) {
    std::vector<RouteEntry> routes;
    if (!node.IsMap()) {
        problem(node, "routes", "must be a mapping from names to routes");
        return routes;
    }
    RouteReader reader(file, problem);
    for (const auto& member : node) {
        routes.push_back(reader.read(member.first, member.second));
    }
    return routes;
}

}  // namespace drover::config
