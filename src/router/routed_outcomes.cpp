#include "router/routed_outcomes.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "router/dataset.hpp"

namespace drover::router {

namespace json = boost::json;

namespace {

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string()
               ? std::string(std::string_view(value->get_string()))
               : std::string();
}

/// One request with the last that was said of it.
struct Told {
    std::string model;
    std::string prompt;
    std::string label;
    std::optional<bool> correct;
    std::optional<float> score;  ///< of the answer, when a cascade let it through
};

std::optional<bool> truth_of(const json::value* value) {
    if (value == nullptr || value->is_bool()) {
        return value == nullptr ? std::nullopt : std::optional(value->get_bool());
    }
    json::error_code failure;
    const double number = value->to_number<double>(failure);
    return failure ? std::nullopt : std::optional(number >= kRight);
}

std::optional<float> passed_score(const json::object& request) {
    const json::value* checks = request.if_contains("checks");
    if (checks == nullptr || !checks->is_array()) {
        return std::nullopt;
    }
    for (const json::value& one : checks->get_array()) {
        const json::object* check = one.if_object();
        const json::value* good = check == nullptr ? nullptr : check->if_contains("good");
        const json::value* score = check == nullptr ? nullptr : check->if_contains("score");
        if (good != nullptr && *good == true && score != nullptr && score->is_number()) {
            return static_cast<float>(score->to_number<double>());
        }
    }
    return std::nullopt;
}

/// A line that was torn, or is no object, teaches nothing and is passed over: a log may have been
/// cut off while it was written.
template <typename Take>
void for_each_line(std::string_view jsonl, Take take) {
    while (!jsonl.empty()) {
        const std::string_view line = jsonl.substr(0, jsonl.find('\n'));
        jsonl.remove_prefix(std::min(line.size() + 1, jsonl.size()));
        json::error_code failure;
        const json::value value = json::parse(line, failure);
        if (!failure && value.is_object()) {
            take(value.get_object());
        }
    }
}

/// The requests that somebody said something of, in the order of their ids.
std::map<std::string, Told> read_log(std::string_view log) {
    std::map<std::string, Told> requests;
    for_each_line(log, [&](const json::object& line) {
        if (text_of(line, "type") == "request") {
            requests[text_of(line, "id")] = {.model = text_of(line, "model"),
                                             .prompt = text_of(line, "prompt"),
                                             .score = passed_score(line)};
            return;
        }
        const auto found = requests.find(text_of(line, "id"));
        if (text_of(line, "type") != "feedback" || found == requests.end()) {
            return;
        }
        if (const auto correct = truth_of(line.if_contains("correct"))) {
            found->second.correct = correct;
        }
        if (const std::string label = text_of(line, "label"); !label.empty()) {
            found->second.label = label;
        }
    });
    std::erase_if(requests, [](const auto& entry) {
        return !entry.second.correct.has_value() && entry.second.label.empty();
    });
    return requests;
}

LabelledPrompts with_labels(const std::map<std::string, Told>& requests) {
    LabelledPrompts made;
    for (const auto& [id, told] : requests) {
        if (told.label.empty() || told.prompt.empty()) {
            ++made.left_out;
            continue;
        }
        made.jsonl += json::serialize(json::object{{"prompt", told.prompt}, {"label", told.label}});
        made.jsonl += '\n';
        ++made.used;
    }
    return made;
}

LabelledPrompts with_outcomes(const std::map<std::string, Told>& requests) {
    std::map<std::string, json::object> prompts;  // who was right on each
    for (const auto& [id, told] : requests) {
        if (told.correct.has_value() && !told.prompt.empty()) {
            prompts[told.prompt][told.model] = *told.correct;
        }
    }
    LabelledPrompts made;
    for (const auto& [prompt, correct] : prompts) {
        if (correct.size() < 2) {
            ++made.left_out;
            continue;
        }
        made.jsonl += json::serialize(json::object{{"prompt", prompt}, {"correct", correct}});
        made.jsonl += '\n';
        ++made.used;
    }
    return made;
}

}  // namespace

bool is_routing_log(std::string_view jsonl) {
    const std::string_view line = jsonl.substr(0, jsonl.find('\n'));
    json::error_code failure;
    const json::value value = json::parse(line, failure);
    const json::object* object = failure ? nullptr : value.if_object();
    const std::string type = object == nullptr ? "" : text_of(*object, "type");
    return type == "request" || type == "feedback";
}

Result<LabelledPrompts> labelled_prompts(std::string_view log, const DatasetFields& fields) {
    const std::map<std::string, Told> requests = read_log(log);
    if (requests.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "this log of requests has no feedback; POST /v1/feedback gives some"};
    }
    const bool names_models = !fields.weak.empty() || !fields.strong.empty();
    const bool labels =
        !names_models && std::any_of(requests.begin(), requests.end(), [](const auto& entry) {
            return !entry.second.label.empty();
        });
    LabelledPrompts made = labels ? with_labels(requests) : with_outcomes(requests);
    if (made.used == 0) {
        return Error{ErrorCode::invalid_argument,
                     labels
                         ? "no request with a label has its prompt; routing.log: prompts keeps it"
                         : "no prompt has feedback on the answers of two models, or prompts were "
                           "not kept (routing.log: prompts)"};
    }
    return made;
}

Result<std::vector<Observation>> scored_answers(std::string_view log) {
    std::vector<Observation> answers;
    for (const auto& [id, told] : read_log(log)) {
        if (told.correct.has_value() && told.score.has_value()) {
            answers.push_back({*told.score, *told.correct});
        }
    }
    if (answers.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "this log has no feedback on an answer that a cascade let through"};
    }
    return answers;
}

}  // namespace drover::router
