#include "control/model_list.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/text.hpp"

namespace drover::control {

namespace json = boost::json;

namespace {

/// No server has more; bounds what a hostile one can cost.
constexpr std::size_t kModelsMax = 2'000;
constexpr std::size_t kNameMax = 256;

/// Whether `prefix` stands somewhere in `name`, and what follows it is one of `names`.
bool is_echo(std::string_view name, std::string_view prefix, const std::set<std::string>& names) {
    for (std::size_t at = name.find(prefix); at != std::string_view::npos;
         at = name.find(prefix, at + 1)) {
        const bool whole = at == 0 || name[at - 1] == '/';
        if (whole && names.contains(std::string(name.substr(at + prefix.size())))) {
            return true;
        }
    }
    return false;
}

}  // namespace

Result<std::vector<std::string>> parse_model_list(std::string_view body) {
    json::error_code failed;
    const json::value answer = json::parse(body, failed);
    const json::value* data =
        !failed && answer.is_object() ? answer.get_object().if_contains("data") : nullptr;
    if (data == nullptr || !data->is_array()) {
        return Error{ErrorCode::engine_failed, "its /v1/models is no list of models"};
    }
    std::vector<std::string> names;
    for (const json::value& model : data->get_array()) {
        const json::value* id = model.is_object() ? model.get_object().if_contains("id") : nullptr;
        if (id == nullptr || !id->is_string() || names.size() == kModelsMax) {
            continue;
        }
        std::string name(id->get_string());
        const bool usable = !name.empty() && name.size() <= kNameMax &&
                            std::none_of(name.begin(), name.end(), [](unsigned char c) {
                                return c <= ' ' || c == 0x7f;
                            });
        if (usable && std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(std::move(name));
        }
    }
    return names;
}

std::vector<std::string> without_echoes(std::vector<std::string> names, std::string_view prefix) {
    std::set<std::string> lower;
    for (const std::string& name : names) {
        lower.insert(to_lower(name));
    }
    const std::string own = to_lower(prefix);
    std::erase_if(names,
                  [&](const std::string& name) { return is_echo(to_lower(name), own, lower); });
    return names;
}

std::string task_of_name(std::string_view name) {
    const std::string lower = to_lower(name);
    return lower.find("embed") != std::string::npos    ? "embedding"
           : lower.find("rerank") != std::string::npos ? "rerank"
                                                       : "generate";
}

}  // namespace drover::control
