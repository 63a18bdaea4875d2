#include "router/dataset.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "base/assert.hpp"

namespace drover::router {

namespace json = boost::json;

namespace {

constexpr std::size_t kExamplesMax = 5'000'000;
constexpr std::size_t kLabelSizeMax = 64;

/// Gives names numbers in the order in which they come.
class Names {
  public:
    std::uint32_t number_of(std::string_view name) {
        const auto [place, fresh] =
            numbers_.emplace(std::string(name), static_cast<std::uint32_t>(names_.size()));
        if (fresh) {
            names_.emplace_back(name);
        }
        return place->second;
    }
    const std::vector<std::string>& all() const { return names_; }

  private:
    std::map<std::string, std::uint32_t, std::less<>> numbers_;
    std::vector<std::string> names_;
};

std::optional<bool> truth(const json::value* value) {
    if (value == nullptr) {
        return std::nullopt;
    }
    if (value->is_bool()) {
        return value->as_bool();
    }
    json::error_code error;
    const double number = value->to_number<double>(error);
    return error ? std::nullopt : std::optional(number >= kRight);
}

class Reader {
  public:
    explicit Reader(const DatasetFields& fields) : fields_(fields) {}

    Status read_line(std::string_view line) {
        json::error_code error;
        const json::value value = json::parse(line, error);
        if (error || !value.is_object()) {
            return complaint("is not a JSON object");
        }
        const json::object& object = value.get_object();
        Example example;
        const json::value* prompt = object.if_contains("prompt");
        if (prompt == nullptr || !prompt->is_string()) {
            return complaint("has no text \"prompt\"");
        }
        example.prompt = std::string(std::string_view(prompt->get_string()));
        if (const auto group = first_text(object, fields_.group, {"group", "source", "subject"})) {
            example.group = groups_.number_of(*group);
        } else {
            example.group = groups_.number_of("");
        }
        DROVER_TRY(read_outcome(object, example));
        data_.examples.push_back(std::move(example));
        return {};
    }

    Status next_line() {
        ++line_;
        if (data_.examples.size() >= kExamplesMax) {
            return complaint("is one too many; at most 5 million are read");
        }
        return {};
    }

    Result<Dataset> finish() {
        if (data_.examples.empty()) {
            return Error{ErrorCode::invalid_argument, "there are no examples in it"};
        }
        data_.groups = groups_.all();
        data_.labels = data_.purpose == Purpose::task ? sorted_labels()
                                                      : std::vector<std::string>{"weak", "strong"};
        return std::move(data_);
    }

  private:
    Error complaint(std::string_view what) const {
        return Error{ErrorCode::invalid_argument,
                     "line " + std::to_string(line_) + " " + std::string(what)};
    }

    static std::optional<std::string_view> first_text(
        const json::object& object,
        const std::string& given,
        std::initializer_list<std::string_view> usual) {
        const auto text = [&object](std::string_view name) -> std::optional<std::string_view> {
            const json::value* value = object.if_contains(name);
            return value != nullptr && value->is_string()
                       ? std::optional<std::string_view>(value->get_string())
                       : std::nullopt;
        };
        if (!given.empty()) {
            return text(given);
        }
        for (const std::string_view name : usual) {
            if (const auto found = text(name)) {
                return found;
            }
        }
        return std::nullopt;
    }

    Status read_outcome(const json::object& object, Example& example) {
        const json::value* correct = object.if_contains("correct");
        const json::object& of =
            correct != nullptr && correct->is_object() ? correct->get_object() : object;
        const auto weak = truth(of.if_contains(fields_.weak.empty() ? "weak" : fields_.weak));
        const auto strong =
            truth(of.if_contains(fields_.strong.empty() ? "strong" : fields_.strong));
        const auto label = first_text(object, fields_.label, {"label", "task"});
        const bool complexity = weak.has_value() && strong.has_value();
        if (!complexity && !label.has_value()) {
            return complaint(
                "has neither a label (\"label\" or \"task\") nor the outcomes of two models "
                "(\"weak\" and \"strong\")");
        }
        const Purpose purpose = complexity ? Purpose::complexity : Purpose::task;
        if (!data_.examples.empty() && purpose != data_.purpose) {
            return complaint("is for another purpose than the lines before");
        }
        data_.purpose = purpose;
        if (complexity) {
            example.weak = *weak;
            example.strong = *strong;
            return {};
        }
        if (label->empty() || label->size() > kLabelSizeMax) {
            return complaint("has a label of no or more than 64 bytes");
        }
        example.label = labels_.number_of(*label);
        return labels_.all().size() <= kHeadsMax ? Status()
                                                 : complaint("has label number 33; 32 at most");
    }

    /// Sorts the labels, so that their order does not depend on that of the examples.
    std::vector<std::string> sorted_labels() {
        std::vector<std::string> sorted = labels_.all();
        std::sort(sorted.begin(), sorted.end());
        for (Example& example : data_.examples) {
            const std::string& label = labels_.all()[example.label];
            example.label = static_cast<std::uint32_t>(
                std::lower_bound(sorted.begin(), sorted.end(), label) - sorted.begin());
        }
        return sorted;
    }

    const DatasetFields& fields_;
    Dataset data_;
    Names labels_;
    Names groups_;
    std::size_t line_ = 0;
};

}  // namespace

std::string_view to_string(Purpose purpose) {
    switch (purpose) {
        case Purpose::task:
            return "task";
        case Purpose::complexity:
            return "complexity";
    }
    DROVER_UNREACHABLE();
}

std::uint64_t fnv64(std::string_view bytes) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char byte : bytes) {
        hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
    }
    return hash;
}

Result<Dataset> parse_dataset(std::string_view jsonl, const DatasetFields& fields) {
    const std::uint64_t digest = fnv64(jsonl);
    Reader reader(fields);
    while (!jsonl.empty()) {
        const std::string_view line = jsonl.substr(0, jsonl.find('\n'));
        jsonl.remove_prefix(std::min(line.size() + 1, jsonl.size()));
        DROVER_TRY(reader.next_line());
        if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
            DROVER_TRY(reader.read_line(line));
        }
    }
    auto data = reader.finish();
    if (data.ok()) {
        data->digest = digest;
        data->judged = data->examples.size();
    }
    return data;
}

Status take_labels(Dataset& data, const std::vector<std::string>& labels) {
    std::vector<std::uint32_t> places;
    for (const std::string& label : data.labels) {
        const auto place = std::find(labels.begin(), labels.end(), label);
        if (place == labels.end()) {
            return Error{ErrorCode::invalid_argument, "there is no label '" + label + "'"};
        }
        places.push_back(static_cast<std::uint32_t>(place - labels.begin()));
    }
    if (data.purpose == Purpose::task) {
        for (Example& example : data.examples) {
            example.label = places[example.label];
        }
    }
    data.labels = labels;
    return {};
}

Status add_examples(Dataset& data, const Dataset& more) {
    if (data.purpose != more.purpose) {
        return Error{ErrorCode::invalid_argument,
                     "its prompts are for " + std::string(to_string(more.purpose)) + ", not " +
                         std::string(to_string(data.purpose))};
    }
    std::vector<std::string> labels;
    std::set_union(data.labels.begin(),
                   data.labels.end(),
                   more.labels.begin(),
                   more.labels.end(),
                   std::back_inserter(labels));
    if (labels.size() > kHeadsMax) {
        return Error{
            ErrorCode::invalid_argument,
            "there are " + std::to_string(labels.size()) + " labels with these; 32 at most"};
    }
    DROVER_TRY(take_labels(data, labels));
    Dataset added = more;
    DROVER_TRY(take_labels(added, labels));
    Names groups;
    for (const std::string& group : data.groups) {
        groups.number_of(group);
    }
    for (Example& example : added.examples) {
        example.group = groups.number_of(added.groups[example.group]);
        data.examples.push_back(std::move(example));
    }
    data.groups = groups.all();
    data.digest = fnv64(std::to_string(data.digest) + " " + std::to_string(more.digest));
    return {};
}

}  // namespace drover::router
