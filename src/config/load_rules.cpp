#include "config/load_rules.hpp"

#include <algorithm>
#include <iterator>

#include "base/language.hpp"
#include "base/pattern.hpp"
#include "base/text.hpp"

namespace drover::config {

namespace {

/// Reads one rule.
class RuleReader {
  public:
    RuleReader(const YamlReader& reader, const YAML::Node& node, const std::string& path)
        : reader_(reader), node_(node), path_(path) {}

    RouteRule read() const {
        reader_.known(node_,
                      path_,
                      {"endpoint",
                       "tools",
                       "images",
                       "longer_than",
                       "shorter_than",
                       "contains",
                       "matches",
                       "language",
                       "headers",
                       "use"});
        RouteRule rule;
        rule.where = reader_.place(node_);
        rule.text = YAML::Dump(node_);
        std::replace(rule.text.begin(), rule.text.end(), '\n', ' ');
        reader_.read_flag(node_["tools"], path_ + ".tools", rule.tools);
        reader_.read_flag(node_["images"], path_ + ".images", rule.images);
        reader_.read_size(node_["longer_than"], path_ + ".longer_than", rule.longer_than);
        reader_.read_size(node_["shorter_than"], path_ + ".shorter_than", rule.shorter_than);
        if (rule.longer_than.has_value() && rule.shorter_than.has_value() &&
            *rule.longer_than + 1 >= *rule.shorter_than) {
            reader_.problem(node_, path_, "no text is longer_than and shorter_than that");
        }
        if (const YAML::Node contains = node_["contains"]) {
            rule.contains = reader_.text(contains, path_ + ".contains");
        }
        if (const YAML::Node matches = node_["matches"]) {
            rule.matches = pattern(matches, path_ + ".matches");
        }
        read_endpoints(rule);
        read_languages(rule);
        read_headers(rule);
        if (const YAML::Node use = node_["use"]) {
            rule.use = reader_.models(use, path_ + ".use");
        } else {
            reader_.problem(node_, path_ + ".use", "is missing; name a model");
        }
        if (node_.size() == (node_["use"] ? 1U : 0U)) {
            reader_.problem(node_,
                            path_,
                            "has a rule without a condition; models that always answer belong "
                            "into `fallback`");
        }
        return rule;
    }

  private:
    std::string pattern(const YAML::Node& node, const std::string& path) const {
        std::string text = reader_.text(node, path);
        if (const auto compiled = Pattern::compile(text); !compiled.ok()) {
            reader_.problem(node, path, compiled.error().message);
        }
        return text;
    }

    /// A name that is not among `known` is a problem.
    template <typename Known>
    void check_known(const YAML::Node& node,
                     const std::string& path,
                     const std::vector<std::string>& given,
                     const Known& known,
                     const std::string& what) const {
        const std::vector<std::string> all(known.begin(), known.end());
        std::string list;
        for (const std::string& one : all) {
            list += (list.empty() ? "" : ", ") + one;
        }
        for (const std::string& one : given) {
            if (std::find(all.begin(), all.end(), one) == all.end()) {
                reader_.problem(node, path, "'" + one + "' is not " + what + "; known are " + list);
            }
        }
    }

    void read_endpoints(RouteRule& rule) const {
        if (const YAML::Node endpoint = node_["endpoint"]) {
            const std::string path = path_ + ".endpoint";
            rule.endpoints = reader_.names(endpoint, path);
            std::vector<std::string> kinds;  // paths are checked by whoever has the endpoints
            std::copy_if(rule.endpoints.begin(),
                         rule.endpoints.end(),
                         std::back_inserter(kinds),
                         [](const std::string& one) { return !one.starts_with('/'); });
            check_known(
                endpoint, path, kinds, kEndpointKinds, "an endpoint, such as chat or /v1/messages");
        }
    }

    void read_languages(RouteRule& rule) const {
        if (const YAML::Node language = node_["language"]) {
            const std::string path = path_ + ".language";
            rule.languages = reader_.names(language, path);
            check_known(
                language, path, rule.languages, known_languages(), "a language that is recognised");
        }
    }

    void read_headers(RouteRule& rule) const {
        const YAML::Node headers = node_["headers"];
        if (!headers) {
            return;
        }
        if (!headers.IsMap()) {
            reader_.problem(headers,
                            path_ + ".headers",
                            "must be a mapping from names to regular expressions, such as "
                            "{x-team: \"research|lab\"}");
            return;
        }
        for (const auto& header : headers) {
            const std::string name = header.first.IsScalar() ? header.first.Scalar() : "";
            rule.headers.emplace_back(to_lower(name),
                                      pattern(header.second, path_ + ".headers." + name));
        }
    }

    const YamlReader& reader_;
    const YAML::Node& node_;
    const std::string& path_;
};

}  // namespace

std::vector<RouteRule> read_rules(const YamlReader& reader,
                                  const YAML::Node& node,
                                  const std::string& path) {
    std::vector<RouteRule> rules;
    if (!node.IsSequence()) {
        reader.problem(node, path, "must be a list such as `- {images: true, use: vision-model}`");
        return rules;
    }
    for (const YAML::Node& one : node) {
        if (one.IsMap()) {
            rules.push_back(RuleReader(reader, one, path).read());
        } else {
            reader.problem(one, path, "a rule is a mapping such as {tools: true, use: MODEL}");
        }
    }
    return rules;
}

}  // namespace drover::config
