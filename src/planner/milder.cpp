#include "planner/milder.hpp"

#include <algorithm>
#include <cstdint>

#include "planner/model_spec.hpp"

namespace drover::planner {

namespace {

using engines::ResolvedSettings;
using models::ModelFacts;

/// What a context is not cut below: less is of no use in a conversation.
constexpr std::uint32_t kContextMin = 1024;

/// Weights are worth quantising anew only when that saves a twentieth of them.
constexpr double kWorthIt = 0.95;

constexpr std::array<const char*, kLowest[quantisation]> kSmaller = {
    "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"};

bool can_have_small_cache(const ResolvedSettings& settings, const ModelFacts& facts) {
    const bool keeps =
        facts.cache == models::CacheKind::attention || facts.cache == models::CacheKind::hybrid;
    return keeps && settings.flash_attention.value_or(true) && settings.cache_type_k == "f16" &&
           settings.cache_type_v == "f16";
}

/// By name: a file with a large table in higher precision has more bits than its name says, and is
/// no smaller for being quantised the same way again.
bool is_smaller(const char* smaller, const ModelFacts& facts) {
    const double bits = bits_of(facts.quantisation)
                            .value_or(8 * static_cast<double>(facts.weights.total.count()) /
                                      static_cast<double>(facts.parameters));
    return *bits_of(smaller) < bits * kWorthIt;
}

}  // namespace

bool turn_down(Steps& steps) {
    for (std::size_t knob = 0; knob < kKnobs; ++knob) {
        if (steps[knob] < kLowest[knob]) {
            ++steps[knob];
            return true;
        }
    }
    return false;
}

std::vector<std::string> make_milder(const Steps& steps,
                                     ResolvedSettings& settings,
                                     ModelFacts& facts) {
    std::vector<std::string> changes;
    if (steps[prompt_cache] > 0 && settings.prompt_cache > Bytes(0)) {
        settings.prompt_cache = Bytes(0);
        changes.emplace_back("prompt_cache: 0");
    }
    const std::uint32_t fewer =
        steps[parallel] == kLowest[parallel] ? 1 : settings.parallel >> steps[parallel];
    if (fewer < settings.parallel) {
        settings.parallel = std::max(fewer, 1U);
        changes.push_back("parallel: " + std::to_string(settings.parallel));
    }
    if (steps[cache_type] > 0 && can_have_small_cache(settings, facts)) {
        settings.cache_type_k = settings.cache_type_v = "q8_0";
        changes.emplace_back("cache_type_k: q8_0, cache_type_v: q8_0");
    }
    const std::uint32_t shorter = std::max(settings.context >> steps[context], kContextMin);
    if (shorter < settings.context) {
        settings.context = shorter;
        if (settings.task != config::Task::generate) {
            settings.batch = shorter;
        }
        changes.push_back("context: " + std::to_string(shorter));
    }
    if (steps[quantisation] > 0 && facts.parameters > 0) {
        const char* smaller = kSmaller[steps[quantisation] - 1];
        if (is_smaller(smaller, facts)) {
            facts = requantised(std::move(facts), smaller);
            changes.push_back(std::string("quantisation ") + smaller);
        }
    }
    return changes;
}

}  // namespace drover::planner
