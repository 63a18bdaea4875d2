#include "config/yaml_reader.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/nearest.hpp"
#include "base/units.hpp"
#include "config/fields.hpp"

namespace drover::config {

namespace fs = std::filesystem;

std::string YamlReader::place(const YAML::Node& node) const {
    return file_.string() + ":" + std::to_string(node.Mark().line + 1);
}

std::string YamlReader::place(const YAML::Node& mapping, std::string_view key) const {
    for (const auto& member : mapping) {
        if (member.first.IsScalar() && member.first.Scalar() == key) {
            return place(member.first);
        }
    }
    return place(mapping);
}

void YamlReader::known(const YAML::Node& node,
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

std::string YamlReader::text(const YAML::Node& node, const std::string& path) const {
    if (node.IsScalar() && !node.Scalar().empty()) {
        return node.Scalar();
    }
    problem_(node, path, "needs a single value");
    return {};
}

std::vector<std::string> YamlReader::names(const YAML::Node& node, const std::string& path) const {
    std::vector<std::string> found;
    if (!node.IsSequence()) {
        found.push_back(text(node, path));
        return found;
    }
    for (const YAML::Node& one : node) {
        found.push_back(text(one, path));
    }
    return found;
}

std::vector<std::string> YamlReader::models(const YAML::Node& node, const std::string& path) const {
    std::vector<std::string> found = names(node, path);
    if (found.empty()) {
        problem_(node, path, "names no model");
    }
    return found;
}

void YamlReader::read_flag(const YAML::Node& node, const std::string& path, bool& value) const {
    if (!node) {
        return;
    }
    if (const auto parsed = parse_flag(text(node, path)); parsed.ok()) {
        value = *parsed;
    } else {
        problem_(node, path, parsed.error().message);
    }
}

void YamlReader::read_flag(const YAML::Node& node,
                           const std::string& path,
                           std::optional<bool>& value) const {
    if (node) {
        read_flag(node, path, value.emplace(true));
    }
}

void YamlReader::read_share(const YAML::Node& node, const std::string& path, double& value) const {
    if (!node) {
        return;
    }
    const std::string given = text(node, path);
    const bool percent = given.ends_with('%');
    const double scale = percent ? 100 : 1;
    double number = -1;
    const char* end = given.data() + given.size() - (percent ? 1 : 0);
    const auto [stop, error] = std::from_chars(given.data(), end, number);
    if (error != std::errc() || stop != end || !(number >= 0 && number <= scale)) {
        problem_(node, path, "'" + given + "' is not a share; write 98% or 0.98");
        return;
    }
    value = number / scale;
}

void YamlReader::read_share(const YAML::Node& node,
                            const std::string& path,
                            std::optional<double>& value) const {
    if (node) {
        read_share(node, path, value.emplace(0));
    }
}

void YamlReader::read_count(const YAML::Node& node,
                            const std::string& path,
                            std::uint32_t low,
                            std::uint32_t high,
                            std::uint32_t& value) const {
    if (!node) {
        return;
    }
    const std::string given = text(node, path);
    std::uint32_t number = 0;
    const char* end = given.data() + given.size();
    const auto [stop, error] = std::from_chars(given.data(), end, number);
    if (error != std::errc() || stop != end || number < low || number > high) {
        problem_(node,
                 path,
                 "'" + given + "' is not a whole number from " + std::to_string(low) + " to " +
                     std::to_string(high));
        return;
    }
    value = number;
}

void YamlReader::read_duration(const YAML::Node& node,
                               const std::string& path,
                               std::chrono::milliseconds& value) const {
    if (!node) {
        return;
    }
    const auto duration = parse_duration(text(node, path));
    if (duration.ok() && duration->count() > 0) {
        value = *duration;
    } else {
        problem_(node, path, "is not a positive duration; write for instance 20s");
    }
}

void YamlReader::read_size(const YAML::Node& node,
                           const std::string& path,
                           std::optional<std::uint32_t>& value) const {
    if (!node) {
        return;
    }
    const auto bytes = parse_bytes(text(node, path));
    if (bytes.ok() && bytes->count() <= INT32_MAX) {
        value = static_cast<std::uint32_t>(bytes->count());
    } else {
        problem_(node, path, "is not a size of text; write for instance 20KiB");
    }
}

void YamlReader::read_path(const YAML::Node& node, const std::string& path, fs::path& value) const {
    if (node) {
        value = resolve_path(text(node, path), fs::absolute(file_).parent_path());
    }
}

}  // namespace drover::config
