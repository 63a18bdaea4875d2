#include "config/routes.hpp"

#include <algorithm>

namespace drover::config {

std::vector<std::string> targets_of(const RouteEntry& route) {
    std::vector<std::string> targets;
    const auto add = [&targets](const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            if (std::find(targets.begin(), targets.end(), name) == targets.end()) {
                targets.push_back(name);
            }
        }
    };
    for (const RouteRule& rule : route.rules) {
        add(rule.use);
    }
    if (route.task.has_value()) {
        for (const auto& [label, models] : route.task->models) {
            add(models);
        }
    }
    if (route.complexity.has_value()) {
        add({route.complexity->small, route.complexity->large});
    }
    if (route.cascade.has_value()) {
        add(route.cascade->models);
    }
    add(route.fallback);
    return targets;
}

std::vector<ClassifierModel> classifiers_of(const RouteEntry& route) {
    std::vector<ClassifierModel> classifiers;
    if (route.task.has_value() && route.task->classifier.has_value()) {
        classifiers.push_back(*route.task->classifier);
    }
    if (route.complexity.has_value() && route.complexity->classifier.has_value()) {
        classifiers.push_back(*route.complexity->classifier);
    }
    return classifiers;
}

Result<RoutingLogLevel> parse_routing_log(std::string_view text) {
    if (text == "off" || text == "false" || text == "no") {  // YAML's `off` is a flag to some
        return RoutingLogLevel::off;
    }
    if (text == "outcomes" || text == "prompts") {
        return text == "outcomes" ? RoutingLogLevel::outcomes : RoutingLogLevel::prompts;
    }
    return Error{ErrorCode::invalid_argument,
                 "'" + std::string(text) + "' is not known; write off, outcomes or prompts"};
}

}  // namespace drover::config
