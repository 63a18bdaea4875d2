#include "config/load_remote.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "base/units.hpp"

namespace drover::config {

namespace {

constexpr std::uint32_t kFailuresMax = 1'000;

class RemoteReader {
  public:
    RemoteReader(const YAML::Node& node, const std::string& path, const EngineProblem& problem)
        : node_(node), path_(path), problem_(problem) {}

    void read(ModelEntry& entry) const {
        RemoteSettings& remote = entry.remote;
        read_urls(remote.urls);
        remote.key_env = text("key_env").value_or("");
        remote.key_file = text("key_file").value_or("");
        remote.ca_file = text("ca_file").value_or("");
        if (!remote.key_env.empty() && !remote.key_file.empty()) {
            tell("key_file", "is given beside key_env; remove one");
        }
        read_duration("connect_timeout", remote.connect_timeout);
        read_duration("first_byte_timeout", remote.first_byte_timeout);
        read_duration("idle_timeout", remote.idle_timeout);
        read_duration("health_interval", remote.health_interval);
        read_duration("open_time", remote.open_time);
        read_failures(remote.failures);
        if (entry.served_name == "*" && !entry.aliases.empty()) {
            tell("aliases", "cannot be given to a server with many models");
        }
    }

  private:
    void tell(const std::string& key, const std::string& what) const {
        const YAML::Node value = node_[key];
        problem_(value ? value : node_, path_ + "." + key, what);
    }

    std::optional<std::string> text(const std::string& key) const {
        const YAML::Node value = node_[key];
        if (!value) {
            return std::nullopt;
        }
        if (!value.IsScalar() || value.Scalar().empty()) {
            tell(key, "needs a single value");
            return std::nullopt;
        }
        return value.Scalar();
    }

    void read_urls(std::vector<std::string>& urls) const {
        const YAML::Node value = node_["url"];
        if (value && value.IsSequence()) {
            for (const YAML::Node& one : value) {
                urls.push_back(one.IsScalar() ? one.Scalar() : "");
            }
        } else if (const auto one = text("url"); one.has_value()) {
            urls.push_back(*one);
        }
        if (urls.empty()) {
            tell("url", "is missing; write where the server is, such as http://10.0.0.5:8000/v1");
        }
    }

    void read_duration(const std::string& key, milliseconds& duration) const {
        const auto given = text(key);
        if (!given.has_value()) {
            return;
        }
        const auto parsed = parse_duration(*given);
        if (parsed.ok() && parsed->count() > 0) {
            duration = *parsed;
        } else {
            tell(key, "'" + *given + "' is not a positive duration; write for instance 30s or 5m");
        }
    }

    void read_failures(std::uint32_t& failures) const {
        const auto given = text("failures");
        if (!given.has_value()) {
            return;
        }
        std::uint32_t number = 0;
        const char* end = given->data() + given->size();
        const auto [stop, error] = std::from_chars(given->data(), end, number);
        if (error == std::errc() && stop == end && number > 0 && number <= kFailuresMax) {
            failures = number;
        } else {
            tell("failures", "'" + *given + "' is not a whole number from 1 to 1000");
        }
    }

    const YAML::Node& node_;
    const std::string& path_;
    const EngineProblem& problem_;
};

}  // namespace

void read_remote(const YAML::Node& node,
                 const std::string& path,
                 const EngineProblem& problem,
                 ModelEntry& entry) {
    RemoteReader(node, path, problem).read(entry);
}

}  // namespace drover::config
