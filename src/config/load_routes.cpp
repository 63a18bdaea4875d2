#include "config/load_routes.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/nearest.hpp"
#include "base/units.hpp"
#include "config/fields.hpp"

namespace drover::config {

namespace {

namespace fs = std::filesystem;

class RouteReader {
  public:
    RouteReader(const fs::path& file, const RouteProblem& problem)
        : file_(file), problem_(problem) {}

    RouteEntry read(const std::string& name, const YAML::Node& node) {
        RouteEntry entry;
        entry.name = name;
        entry.where = file_.string() + ":" + std::to_string(node.Mark().line + 1);
        const std::string path = "routes." + name;
        if (name.empty() || name.find_first_of(" \t\n\"'") != std::string::npos) {
            problem_(node, path, "a route's name has no spaces and no quotes");
        }
        if (!node.IsMap()) {
            problem_(node, path, "must be a mapping of stages");
            return entry;
        }
        known(node, path, {"rules", "task", "complexity", "fallback", "affinity", "local_only"});
        if (const YAML::Node rules = node["rules"]) {
            read_rules(rules, path + ".rules", entry.rules);
        }
        if (const YAML::Node task = node["task"]) {
            read_task(task, path + ".task", entry.task.emplace());
        }
        if (const YAML::Node complexity = node["complexity"]) {
            read_complexity(complexity, path + ".complexity", entry.complexity.emplace());
        }
        if (const YAML::Node fallback = node["fallback"]) {
            entry.fallback = names(fallback, path + ".fallback");
        }
        read_flag(node["affinity"], path + ".affinity", entry.affinity);
        read_flag(node["local_only"], path + ".local_only", entry.local_only);
        if (entry.fallback.empty() && !entry.complexity.has_value()) {
            problem_(node,
                     path + ".fallback",
                     "is missing; name the models that answer when no stage decides");
        }
        return entry;
    }

  private:
    void known(const YAML::Node& node,
               const std::string& path,
               const std::vector<std::string>& keys) const {
        std::set<std::string> seen;
        for (const auto& member : node) {
            const std::string key = member.first.IsScalar() ? member.first.Scalar() : "";
            if (!seen.insert(key).second) {
                problem_(member.first, path + "." + key, "is given twice; remove one");
            }
            if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
                continue;
            }
            const std::vector<std::string> nearest = nearest_names(key, keys, 1);
            problem_(member.first,
                     path + "." + key,
                     nearest.empty()
                         ? "is not a setting here"
                         : "is not a setting here; did you mean '" + nearest.front() + "'?");
        }
    }

    /// The text of a scalar; empty, and a problem, when it is none.
    std::string text(const YAML::Node& node, const std::string& path) const {
        if (node.IsScalar() && !node.Scalar().empty()) {
            return node.Scalar();
        }
        problem_(node, path, "needs a single value");
        return {};
    }

    /// One name or a list of them.
    std::vector<std::string> names(const YAML::Node& node, const std::string& path) const {
        std::vector<std::string> found;
        if (node.IsSequence()) {
            for (const YAML::Node& one : node) {
                found.push_back(text(one, path));
            }
        } else {
            found.push_back(text(node, path));
        }
        return found;
    }

    void read_flag(const YAML::Node& node, const std::string& path, bool& value) const {
        if (!node) {
            return;
        }
        if (const auto parsed = parse_flag(text(node, path)); parsed.ok()) {
            value = *parsed;
        } else {
            problem_(node, path, parsed.error().message);
        }
    }

    /// A share: "98%", "0.98".
    void read_share(const YAML::Node& node, const std::string& path, double& value) const {
        std::string given = text(node, path);
        double scale = 1;
        if (!given.empty() && given.back() == '%') {
            given.pop_back();
            scale = 100;
        }
        double number = -1;
        const char* end = given.data() + given.size();
        const auto [stop, error] = std::from_chars(given.data(), end, number);
        if (error != std::errc() || stop != end || !(number >= 0 && number <= scale)) {
            problem_(node, path, "'" + node.Scalar() + "' is not a share; write 98% or 0.98");
            return;
        }
        value = number / scale;
    }

    void read_share(const YAML::Node& node,
                    const std::string& path,
                    std::optional<double>& value) const {
        if (node) {
            read_share(node, path, value.emplace(0));
        }
    }

    void read_predictor(const YAML::Node& node, const std::string& path, fs::path& value) const {
        if (node) {
            value = resolve_path(text(node, path), fs::absolute(file_).parent_path());
        }
    }

    void read_rules(const YAML::Node& node,
                    const std::string& path,
                    std::vector<RouteRule>& rules) const {
        if (!node.IsSequence()) {
            problem_(node, path, "must be a list such as `- {images: true, use: vision-model}`");
            return;
        }
        for (const YAML::Node& one : node) {
            if (!one.IsMap()) {
                problem_(one, path, "a rule is a mapping such as {tools: true, use: MODEL}");
                continue;
            }
            known(one, path, {"tools", "images", "longer_than", "contains", "use"});
            RouteRule& rule = rules.emplace_back();
            if (const YAML::Node tools = one["tools"]) {
                read_flag(tools, path + ".tools", rule.tools.emplace(true));
            }
            if (const YAML::Node images = one["images"]) {
                read_flag(images, path + ".images", rule.images.emplace(true));
            }
            if (const YAML::Node longer = one["longer_than"]) {
                const auto bytes = parse_bytes(text(longer, path + ".longer_than"));
                if (bytes.ok() && bytes->count() <= INT32_MAX) {
                    rule.longer_than = static_cast<std::uint32_t>(bytes->count());
                } else {
                    problem_(longer,
                             path + ".longer_than",
                             "is not a size of text; write for instance 20KiB");
                }
            }
            if (const YAML::Node contains = one["contains"]) {
                rule.contains = text(contains, path + ".contains");
            }
            if (const YAML::Node use = one["use"]) {
                rule.use = names(use, path + ".use");
            } else {
                problem_(one, path + ".use", "is missing; name a model");
            }
        }
    }

    void read_task(const YAML::Node& node, const std::string& path, TaskStage& stage) const {
        if (!node.IsMap()) {
            problem_(node, path, "must be a mapping from labels to models, such as {code: MODEL}");
            return;
        }
        for (const auto& member : node) {
            const std::string key = member.first.IsScalar() ? member.first.Scalar() : "";
            if (key == "predictor") {
                read_predictor(member.second, path + ".predictor", stage.predictor);
            } else if (key == "confidence") {
                read_share(member.second, path + ".confidence", stage.confidence);
            } else {
                stage.models.emplace_back(key, names(member.second, path + "." + key));
            }
        }
        if (stage.models.empty()) {
            problem_(node, path, "names no label; write for instance {code: MODEL, math: MODEL}");
        }
    }

    void read_complexity(const YAML::Node& node,
                         const std::string& path,
                         ComplexityStage& stage) const {
        if (!node.IsMap()) {
            problem_(node, path, "must be a mapping such as {small: MODEL, large: MODEL}");
            return;
        }
        known(node, path, {"predictor", "small", "large", "quality", "budget", "threshold"});
        read_predictor(node["predictor"], path + ".predictor", stage.predictor);
        for (const auto& [key, target] :
             {std::pair("small", &stage.small), std::pair("large", &stage.large)}) {
            if (const YAML::Node model = node[key]) {
                *target = text(model, path + "." + key);
            } else {
                problem_(node, path + "." + key, "is missing; name a model");
            }
        }
        read_share(node["quality"], path + ".quality", stage.quality);
        read_share(node["budget"], path + ".budget", stage.budget);
        read_share(node["threshold"], path + ".threshold", stage.threshold);
        if (stage.quality.has_value() + stage.budget.has_value() + stage.threshold.has_value() >
            1) {
            problem_(node, path, "takes one of quality, budget and threshold, not several");
        }
    }

    const fs::path& file_;
    const RouteProblem& problem_;
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
        const std::string name = member.first.IsScalar() ? member.first.Scalar() : "";
        routes.push_back(reader.read(name, member.second));
    }
    return routes;
}

}  // namespace drover::config
