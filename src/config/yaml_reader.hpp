// Reads single settings of a YAML node and tells every problem with its place. Pure; one thread at
// a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

namespace drover::config {

/// Where a problem is told: the node that it is about, the setting's path, and what is wrong.
using RouteProblem =
    std::function<void(const YAML::Node& node, const std::string& path, const std::string& what)>;

/// What cannot be read is a problem and leaves its value as it was. A node that is not there is no
/// problem and no value.
class YamlReader {
  public:
    /// Both outlive the reader. Relative paths start beside `file`.
    YamlReader(const std::filesystem::path& file, const RouteProblem& problem)
        : file_(file), problem_(problem) {}

    void problem(const YAML::Node& node, const std::string& path, const std::string& what) const {
        problem_(node, path, what);
    }

    /// "drover.yaml:12".
    std::string place(const YAML::Node& node) const;

    /// Where the key of a mapping is, which may be a line above its value.
    std::string place(const YAML::Node& mapping, std::string_view key) const;

    /// Complains about keys of a mapping that are not among `keys` or are there twice.
    void known(const YAML::Node& node,
               const std::string& path,
               const std::vector<std::string>& keys) const;

    /// The text of a scalar; empty, and a problem, when it is none.
    std::string text(const YAML::Node& node, const std::string& path) const;

    /// One name or a list of them, which may be empty.
    std::vector<std::string> names(const YAML::Node& node, const std::string& path) const;

    /// The same; none is a problem.
    std::vector<std::string> models(const YAML::Node& node, const std::string& path) const;

    void read_flag(const YAML::Node& node, const std::string& path, bool& value) const;
    void read_flag(const YAML::Node& node,
                   const std::string& path,
                   std::optional<bool>& value) const;

    /// A share: "98%", "0.98".
    void read_share(const YAML::Node& node, const std::string& path, double& value) const;
    void read_share(const YAML::Node& node,
                    const std::string& path,
                    std::optional<double>& value) const;

    /// A whole number in [low, high].
    void read_count(const YAML::Node& node,
                    const std::string& path,
                    std::uint32_t low,
                    std::uint32_t high,
                    std::uint32_t& value) const;

    /// A positive duration: "20s".
    void read_duration(const YAML::Node& node,
                       const std::string& path,
                       std::chrono::milliseconds& value) const;

    /// A size of text: "20KiB".
    void read_size(const YAML::Node& node,
                   const std::string& path,
                   std::optional<std::uint32_t>& value) const;

    void read_path(const YAML::Node& node,
                   const std::string& path,
                   std::filesystem::path& value) const;

  private:
    const std::filesystem::path& file_;
    const RouteProblem& problem_;
};

}  // namespace drover::config
