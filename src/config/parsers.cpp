#include "config/parsers.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "config/fields.hpp"
#include "config/setters.hpp"

namespace drover::config {

namespace {

/// Far more than any model has.
constexpr std::int64_t kLayersMax = 10'000;

/// The parts between commas and blanks.
std::vector<std::string_view> parts_of(std::string_view text) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find_first_of(", "));
        text.remove_prefix(std::min(part.size() + 1, text.size()));
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

bool is_gpu(std::string_view text) {
    constexpr std::string_view kPrefix = "GPU-";
    return text.starts_with(kPrefix) ||
           (!text.empty() && text.size() < 4 && std::all_of(text.begin(), text.end(), is_digit));
}

Error no_gpu(std::string_view text, std::string_view others) {
    return {ErrorCode::invalid_argument,
            "'" + std::string(text) + "' is no GPU; write " + std::string(others) +
                "a GPU's number, or its UUID (GPU-...); `nvidia-smi -L` lists both"};
}

}  // namespace

Result<std::string> parse_cache_type(std::string_view text) {
    constexpr std::array<std::string_view, 9> kTypes{
        "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"};
    for (const std::string_view type : kTypes) {
        if (type == text) {
            return std::string(text);
        }
    }
    return Error{
        ErrorCode::invalid_argument,
        "'" + std::string(text) +
            "' is not a cache type; write f16, q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl, bf16 or f32"};
}

Result<std::string> parse_web_address(std::string_view text) {
    while (text.ends_with('/')) {
        text.remove_suffix(1);
    }
    if (!text.starts_with("https://") && !text.starts_with("http://")) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "' is not an address; write https://HOST"};
    }
    return std::string(text);
}

Result<DeviceChoice> parse_device(std::string_view text) {
    DeviceChoice choice{.host = text == "host"};
    if (text == "auto" || text == "host") {
        return choice;
    }
    for (const std::string_view part : parts_of(text)) {
        if (!is_gpu(part)) {
            return no_gpu(part, "auto, host, ");
        }
        if (std::find(choice.gpus.begin(), choice.gpus.end(), part) != choice.gpus.end()) {
            return Error{ErrorCode::invalid_argument,
                         "names GPU " + std::string(part) + " twice; remove one"};
        }
        choice.gpus.emplace_back(part);
    }
    return choice.gpus.empty() ? Result<DeviceChoice>(no_gpu(text, "auto, host, "))
                               : Result<DeviceChoice>(std::move(choice));
}

Result<SleepLevel> parse_sleep(std::string_view text) {
    if (text == "1" || text == "2") {
        return text == "1" ? SleepLevel::light : SleepLevel::deep;
    }
    const Result<bool> sleeps = parse_flag(text);
    if (!sleeps.ok()) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "' is not true, false, 1 or 2"};
    }
    return *sleeps ? SleepLevel::light : SleepLevel::never;
}

Result<GpuLayers> parse_gpu_layers(std::string_view text) {
    if (text == "auto" || text == "all") {
        return GpuLayers{.all = text == "all"};
    }
    const auto number =
        parse_number<std::uint32_t>(text, 0, kLayersMax, "a number of layers, auto or all");
    return number.ok() ? Result<GpuLayers>(GpuLayers{.number = *number})
                       : Result<GpuLayers>(number.error());
}

Result<std::vector<GpuBudget>> parse_gpu_budgets(std::string_view text) {
    std::vector<GpuBudget> budgets;
    for (const std::string_view part : parts_of(text)) {
        const std::size_t equals = std::min(part.find('='), part.size());
        const std::string_view size = part.substr(std::min(equals + 1, part.size()));
        GpuBudget budget{.gpu = std::string(part.substr(0, equals))};
        if (!is_gpu(budget.gpu)) {
            return no_gpu(budget.gpu, "auto, none, or the size for ");
        }
        if (size != "auto") {
            const auto bytes = parse_bytes(size);
            if (!bytes.ok()) {
                return Error{ErrorCode::invalid_argument,
                             "GPU " + budget.gpu + ": " + bytes.error().message + ", or auto"};
            }
            budget.bytes = *bytes;
        }
        budgets.push_back(std::move(budget));
    }
    return budgets;
}

}  // namespace drover::config
