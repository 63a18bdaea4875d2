#include "engines/engine_load.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace drover::engines {

namespace {

/// More than any engine has; also what a number must not be above to be converted.
constexpr double kRequestsMax = 1e6;

struct Sample {
    std::string_view name;
    double value = 0;
};

/// `name{label="x"} value`, and a time perhaps. Nullopt: a comment, or no sample.
std::optional<Sample> read_sample(std::string_view line) {
    const std::string_view name = line.substr(0, line.find_first_of("{ "));
    const std::size_t labels_end = line.find('}');
    line.remove_prefix(labels_end == std::string_view::npos ? name.size() : labels_end + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    Sample sample{.name = name};
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), sample.value);
    if (error != std::errc() || !std::isfinite(sample.value) || sample.value < 0) {
        return std::nullopt;
    }
    return sample;
}

std::uint32_t requests(double value) {
    return static_cast<std::uint32_t>(std::min(value, kRequestsMax));
}

}  // namespace

std::optional<EngineLoad> read_vllm_load(std::string_view metrics) {
    EngineLoad load;
    bool there = false;
    while (!metrics.empty()) {
        const std::string_view line = metrics.substr(0, metrics.find('\n'));
        metrics.remove_prefix(std::min(line.size() + 1, metrics.size()));
        const auto sample = read_sample(line);
        if (!sample.has_value()) {
            continue;
        }
        if (sample->name == "vllm:num_requests_running") {
            load.running += requests(sample->value);
            there = true;
        } else if (sample->name == "vllm:num_requests_waiting") {
            load.waiting += requests(sample->value);
            there = true;
        } else if (sample->name == "vllm:kv_cache_usage_perc" ||
                   sample->name == "vllm:gpu_cache_usage_perc") {  // its name before version 0.10
            load.cache_used = std::max(load.cache_used, std::min(sample->value, 1.0));
        } else if (sample->name == "vllm:prompt_tokens_total") {
            load.prompt_tokens += sample->value;
        } else if (sample->name == "vllm:request_prefill_time_seconds_sum") {
            load.prefill_seconds += sample->value;
        }
    }
    return there ? std::optional(load) : std::nullopt;
}

}  // namespace drover::engines
