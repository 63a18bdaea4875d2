#include "config/routes.hpp"

namespace drover::config {

std::vector<ModelUse> uses_of(const RouteEntry& route) {
    std::vector<ModelUse> uses;
    const auto add = [&](const std::vector<std::string>& names,
                         const std::string& path,
                         const std::string& where) {
        for (const std::string& name : names) {
            uses.push_back({name, "routes." + route.name + "." + path, where});
        }
    };
    for (const RouteRule& rule : route.rules) {
        add(rule.use, "rules.use", rule.where);
    }
    if (route.task.has_value()) {
        for (const TaskModels& task : route.task->models) {
            add(task.models, "task." + task.label, task.where);
        }
    }
    if (route.complexity.has_value()) {
        add({route.complexity->small}, "complexity.small", route.complexity->where);
        add({route.complexity->large}, "complexity.large", route.complexity->where);
    }
    if (route.cascade.has_value()) {
        add(route.cascade->models, "cascade.models", route.cascade->where);
    }
    add(route.fallback, "fallback", route.where);
    for (const ClassifierModel& asked : classifiers_of(route)) {
        uses.push_back({asked.model, "routes." + route.name + ".classifier", asked.where});
    }
    return uses;
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
