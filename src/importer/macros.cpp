#include "importer/macros.hpp"

#include <algorithm>

namespace drover::importer {

namespace {

/// No command line is longer; bounds what macros of macros can make.
constexpr std::size_t kTextMax = 128UL * 1024;

constexpr std::string_view kEnvironment = "${env.";

/// The name of the first ${NAME} at or after `from`, and where it stands.
struct Place {
    std::size_t begin = std::string::npos;
    std::size_t end = std::string::npos;  ///< after the brace
    std::string name;
};

std::optional<Place> find_macro(std::string_view text, std::size_t from) {
    const std::size_t begin = text.find("${", from);
    const std::size_t end = begin == text.npos ? text.npos : text.find('}', begin);
    if (end == text.npos) {
        return std::nullopt;
    }
    return Place{begin, end + 1, std::string(text.substr(begin + 2, end - begin - 2))};
}

}  // namespace

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    for (std::size_t at = text.find(what); at != text.npos && text.size() < kTextMax;
         at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
    return text;
}

void Macros::set(std::string name, std::string text) {
    const auto known = std::find_if(
        macros_.begin(), macros_.end(), [&name](const Macro& one) { return one.name == name; });
    if (known != macros_.end()) {
        known->text = std::move(text);
    } else {
        macros_.push_back({std::move(name), std::move(text)});
    }
}

std::string Macros::expand(std::string_view given) const {
    std::string text(given);
    // The last one first: what it brings in was defined before it.
    for (auto macro = macros_.rbegin(); macro != macros_.rend(); ++macro) {
        text = replaced(std::move(text), "${" + macro->name + "}", macro->text);
    }
    for (std::size_t at = 0; const auto place = find_macro(text, at);) {
        at = place->end;
        if (text.compare(place->begin, kEnvironment.size(), kEnvironment) != 0) {
            continue;
        }
        if (const auto value = environment_(place->name.substr(kEnvironment.size() - 2))) {
            text.replace(place->begin, place->end - place->begin, *value);
            at = place->begin + value->size();
        }
    }
    return text;
}

std::vector<std::string> Macros::unknown(std::string_view text) {
    std::vector<std::string> names;
    for (std::size_t at = 0; const auto place = find_macro(text, at);) {
        at = place->end;
        if (place->name != "PORT" && place->name != "PID") {
            names.push_back(place->name);
        }
    }
    return names;
}

}  // namespace drover::importer
