#include "planner/plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"
#include "control/sizing.hpp"
#include "planner/model_spec.hpp"

namespace drover::planner {

namespace {

using config::ModelSettings;
using engines::ResolvedSettings;

/// Of an engine that Drover knows nothing of.
constexpr Duration kLoadTimeGuess = std::chrono::seconds(10);

/// Between two requests of a round: nobody waits for anybody, and youth protects nobody.
constexpr Duration kRoundStep = std::chrono::hours(1);

/// Steps from what was asked for to what takes least: cheap things first, quality last. A level
/// stands for all steps up to it.
enum Level : std::size_t {
    as_asked,
    no_prompt_cache,
    one_request,
    small_cache_type,
    half_context,
    quarter_context,
    q4,
    q3,
    q2,
    kLevels
};

/// What a context is not cut below: less is of no use in a conversation.
constexpr std::uint32_t kContextMin = 1024;

class Planner {
  public:
    Planner(const std::vector<Wanted>& wanted,
            const ModelSettings& defaults,
            const Machine& machine)
        : wanted_(wanted), defaults_(defaults), machine_(machine) {}

    Result<Plan> run() {
        Plan plan{.budget = machine_.budget, .devices = machine_.devices};
        for (const Wanted& one : wanted_) {
            auto model = at_level(one, as_asked);
            if (!model.ok()) {
                return model.error();
            }
            plan.models.push_back(std::move(model).value());
        }
        plan.fits = place(plan.models);
        for (std::size_t i = 0; i < plan.models.size(); ++i) {
            plan.total += plan.models[i].footprint();
            if (!fits_alone(plan.models[i])) {
                plan.never.push_back(i);
            }
        }
        if (!plan.fits) {
            plan.fitting = settings_that_fit();
            plan.round = one_round(plan);
        }
        return plan;
    }

  private:
    bool fits_alone(const PlannedModel& model) const {
        return std::any_of(
            model.layouts.begin(), model.layouts.end(), [this](const memory::Layout& layout) {
                return layout.footprint.fits(machine_.budget);
            });
    }

    /// Chooses a layout for each of the models, so that all of them fit. False when that cannot be;
    /// those that are left over have their best one.
    bool place(std::vector<PlannedModel>& models) const {
        std::vector<std::vector<memory::Layout>> layouts;
        for (const PlannedModel& model : models) {
            layouts.push_back(model.layouts);
        }
        bool all = true;
        const auto chosen = memory::place_all(layouts, machine_.budget);
        for (std::size_t i = 0; i < models.size(); ++i) {
            PlannedModel& model = models[i];
            all = all && chosen[i].has_value();
            model.layout = chosen[i].value_or(0);
            model.bytes = model.footprint().total();
            model.where =
                memory::to_text(model.layouts[model.layout], wanted_[i].gpu_numbers, model.layers);
        }
        return all;
    }

    Result<PlannedModel> at_level(const Wanted& wanted, std::size_t level) const {
        if (wanted.fixed.has_value()) {
            return as_it_is(wanted);
        }
        models::ModelFacts facts = wanted.facts;
        PlannedModel planned{.name = wanted.name, .quantisation = facts.quantisation};
        auto settings =
            engines::resolve_settings(wanted.task, wanted.settings, defaults_, facts, machine_.cpu);
        if (!settings.ok()) {
            return settings.error().with(wanted.name);
        }
        planned.settings = std::move(settings).value();
        if (level > as_asked) {
            lower(planned, facts, level);
        }
        const memory::SizeSettings sizing = control::size_settings(planned.settings, machine_.cpu);
        planned.size = memory::estimate_size(facts, sizing);
        const memory::LayerSizes layers = memory::layer_sizes(facts, sizing, wanted.beside);
        planned.layers = layers.layers.size();
        planned.layouts = memory::lay_out(layers, wanted.where, machine_.budget);
        planned.load_cached = memory::expected_load_time(facts, planned.size, true);
        planned.load_disk = memory::expected_load_time(facts, planned.size, false);
        return planned;
    }

    PlannedModel as_it_is(const Wanted& wanted) const {
        PlannedModel planned{.name = wanted.name};
        // What of it is what, only its engine knows.
        planned.size.process = wanted.fixed->all_on_host;
        planned.layouts = memory::lay_out_evenly(*wanted.fixed, wanted.where, machine_.budget);
        planned.settings.task = wanted.task;
        planned.settings.context = wanted.settings.context.value_or(0);
        planned.settings.parallel = wanted.settings.parallel.value_or(0);
        planned.load_cached = planned.load_disk = kLoadTimeGuess;
        return planned;
    }

    /// Changes the settings step by step down to `level`, and says what it changed.
    static void lower(PlannedModel& planned, models::ModelFacts& facts, std::size_t level) {
        ResolvedSettings& settings = planned.settings;
        const auto note = [&planned](const std::string& change) {
            planned.changes.push_back(change);
        };
        if (level >= no_prompt_cache && settings.prompt_cache > Bytes(0)) {
            settings.prompt_cache = Bytes(0);
            note("prompt_cache: 0");
        }
        if (level >= one_request && settings.parallel > 1) {
            settings.parallel = 1;
            note("parallel: 1");
        }
        const bool keeps =
            facts.cache == models::CacheKind::attention || facts.cache == models::CacheKind::hybrid;
        if (level >= small_cache_type && keeps && settings.flash_attention.value_or(true) &&
            settings.cache_type_k == "f16" && settings.cache_type_v == "f16") {
            settings.cache_type_k = settings.cache_type_v = "q8_0";
            note("cache_type_k: q8_0, cache_type_v: q8_0");
        }
        if (level >= half_context) {
            const std::uint32_t divisor = level >= quarter_context ? 4 : 2;
            const std::uint32_t context = std::max(settings.context / divisor, kContextMin);
            if (context < settings.context) {
                settings.context = context;
                if (settings.task != config::Task::generate) {
                    settings.batch = context;
                }
                note("context: " + std::to_string(context));
            }
        }
        constexpr std::array kSmaller = {"Q4_K_M", "Q3_K_M", "Q2_K"};
        if (level >= q4 && facts.parameters > 0) {
            const char* smaller = kSmaller.at(level - q4);
            const double bits = 8 * static_cast<double>(facts.weights.total.count()) /
                                static_cast<double>(facts.parameters);
            if (bits_of(smaller).value() < bits * 0.95) {
                facts = requantised(facts, smaller);
                planned.quantisation = smaller;
                note(std::string("quantisation ") + smaller);
            }
        }
    }

    /// All at the mildest common level that is enough; then, the most important first, each as high
    /// again as still fits.
    std::optional<std::vector<PlannedModel>> settings_that_fit() const {
        std::vector<std::vector<PlannedModel>> options(wanted_.size());
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            for (std::size_t level = as_asked; level < kLevels; ++level) {
                options[i].push_back(at_level(wanted_[i], level).value());
            }
        }
        const auto fit = [&](const std::vector<std::size_t>& levels) {
            std::vector<std::vector<memory::Layout>> layouts;
            for (std::size_t i = 0; i < levels.size(); ++i) {
                layouts.push_back(options[i][levels[i]].layouts);
            }
            const auto chosen = memory::place_all(layouts, machine_.budget);
            return std::all_of(
                chosen.begin(), chosen.end(), [](const auto& one) { return one.has_value(); });
        };
        std::vector<std::size_t> levels(wanted_.size(), as_asked);
        while (!fit(levels)) {
            if (++levels.front() == kLevels) {
                return std::nullopt;
            }
            std::fill(levels.begin(), levels.end(), levels.front());
        }
        for (std::size_t& level : levels) {
            while (level > as_asked) {
                --level;
                if (!fit(levels)) {
                    ++level;
                    break;
                }
            }
        }
        std::vector<PlannedModel> chosen;
        for (std::size_t i = 0; i < levels.size(); ++i) {
            chosen.push_back(std::move(options[i][levels[i]]));
        }
        place(chosen);
        return chosen;
    }

    /// The second of two rounds, in the order in which the models are named.
    std::optional<Round> one_round(const Plan& plan) const {
        std::vector<ReplayModel> models = replay_models(plan);
        std::vector<Arrival> arrivals;
        Duration at{};
        for (int round = 0; round < 2; ++round) {
            for (std::size_t i = 0; i < models.size(); ++i) {
                models[i].traits.keep_alive = std::nullopt;
                if (fits_alone(plan.models[i])) {
                    arrivals.push_back({at += kRoundStep, i, Duration()});
                }
            }
        }
        const Replay replayed = replay(models, plan.budget, machine_.scheduler, arrivals);
        Round round;
        std::vector<bool> seen(models.size());
        for (const Swap& swap : replayed.swaps) {
            if (seen[swap.model]) {
                round.swaps.push_back(swap);
                round.loading += swap.took;
            }
            seen[swap.model] = true;
        }
        return arrivals.empty() ? std::nullopt : std::optional(std::move(round));
    }

    const std::vector<Wanted>& wanted_;
    const ModelSettings& defaults_;
    const Machine& machine_;
};

}  // namespace

Result<Plan> make_plan(const std::vector<Wanted>& wanted,
                       const ModelSettings& defaults,
                       const Machine& machine) {
    if (wanted.empty()) {
        return Error{ErrorCode::invalid_argument, "there are no models to plan for"};
    }
    return Planner(wanted, defaults, machine).run();
}

std::vector<ReplayModel> replay_models(const Plan& plan) {
    std::vector<ReplayModel> models;
    for (const PlannedModel& planned : plan.models) {
        const ResolvedSettings& settings = planned.settings;
        const bool stays = settings.keep_alive.count() < 0;
        std::vector<memory::Placement> placements;
        for (const memory::Layout& layout : planned.layouts) {
            placements.push_back({layout.footprint, layout.grade});
        }
        models.push_back(
            {.traits = {.placements = std::move(placements),
                        .lease_limit = settings.parallel,
                        .queue_limit = settings.queue,
                        .keep_alive = stays ? memory::KeepAlive() : settings.keep_alive,
                        .priority = settings.priority,
                        .load_time = planned.load_cached},
             .first_load = planned.load_disk});
    }
    return models;
}

}  // namespace drover::planner
