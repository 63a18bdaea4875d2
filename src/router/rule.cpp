#include "router/rule.hpp"

#include <algorithm>
#include <string_view>

#include "base/language.hpp"
#include "base/text.hpp"

namespace drover::router {

namespace {

bool contains_ignoring_case(std::string_view text, std::string_view lower) {
    return std::search(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
               return to_lower(a) == b;
           }) != text.end();
}

bool is_one_of(std::string_view value, const std::vector<std::string>& wanted) {
    return std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

/// A header that is sent several times meets a condition when one of its values does.
bool has_headers(const RequestFacts& facts, const PolicyRule& rule) {
    return std::all_of(rule.headers.begin(), rule.headers.end(), [&](const auto& wanted) {
        return std::any_of(facts.headers.begin(), facts.headers.end(), [&](const auto& sent) {
            return sent.first == wanted.first && wanted.second.covers(sent.second);
        });
    });
}

}  // namespace

bool meets(const RequestFacts& facts, const PolicyRule& rule) {
    // What costs least is asked first.
    return (!rule.tools.has_value() || *rule.tools == facts.tools) &&
           (!rule.images.has_value() || *rule.images == facts.images) &&
           (!rule.longer_than.has_value() || facts.bytes > *rule.longer_than) &&
           (!rule.shorter_than.has_value() || facts.bytes < *rule.shorter_than) &&
           (rule.endpoints.empty() || is_one_of(facts.endpoint, rule.endpoints) ||
            is_one_of(facts.path, rule.endpoints)) &&
           has_headers(facts, rule) &&
           (rule.contains.empty() || contains_ignoring_case(facts.text, rule.contains)) &&
           (rule.languages.empty() || is_one_of(language_of(facts.text), rule.languages)) &&
           (!rule.matches.has_value() || rule.matches->found_in(facts.text));
}

}  // namespace drover::router
