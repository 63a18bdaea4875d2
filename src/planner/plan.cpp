#include "planner/plan.hpp"

#include <algorithm>
#include <utility>

#include "control/sizing.hpp"
#include "planner/milder.hpp"

namespace drover::planner {

namespace {

using config::ModelSettings;
using engines::ResolvedSettings;

/// Of an engine that Drover knows nothing of.
constexpr Duration kLoadTimeGuess = std::chrono::seconds(10);

/// Between two requests of a round: nobody waits for anybody, and youth protects nobody.
constexpr Duration kRoundStep = std::chrono::hours(1);

/// In bytes, and in models where their number is limited.
memory::Footprint budget_of(const Machine& machine) {
    memory::Footprint budget = machine.budget;
    if (machine.models_max != 0) {
        budget[memory::kModelCount] = Bytes(machine.models_max);
    }
    return budget;
}

class Planner {
  public:
    Planner(const std::vector<Wanted>& wanted,
            const ModelSettings& defaults,
            const Machine& machine)
        : wanted_(wanted),
          defaults_(defaults),
          machine_(machine),
          budget_(budget_of(machine)),
          room_(budget_ - memory::Footprint::host(machine.own)) {}

    Result<Plan> run() {
        Plan plan{.budget = budget_, .own = machine_.own, .devices = machine_.devices};
        for (const Wanted& one : wanted_) {
            auto model = milder(one, {});
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
            plan.fitting = settings_that_fit(plan.models);
            plan.alone = each_alone(plan.models);
            plan.round = one_round(plan.alone);
        }
        return plan;
    }

  private:
    bool fits_alone(const PlannedModel& model) const {
        return std::any_of(
            model.layouts.begin(), model.layouts.end(), [this](const memory::Layout& layout) {
                return layout.footprint.fits(room_);
            });
    }

    /// A layout for each of the models, so that all of them fit; nothing for those left over.
    std::vector<std::optional<std::size_t>> placed(const std::vector<PlannedModel>& models) const {
        std::vector<std::vector<memory::Layout>> layouts;
        for (const PlannedModel& model : models) {
            layouts.push_back(model.layouts);
        }
        return memory::place_all(layouts, room_);
    }

    bool fit(const std::vector<PlannedModel>& models) const {
        const auto chosen = placed(models);
        return std::all_of(
            chosen.begin(), chosen.end(), [](const auto& one) { return one.has_value(); });
    }

    /// Lays the models out. False when they do not fit together; those that are left over have
    /// their best layout.
    bool place(std::vector<PlannedModel>& models) const {
        const auto chosen = placed(models);
        for (std::size_t i = 0; i < models.size(); ++i) {
            PlannedModel& model = models[i];
            model.layout = chosen[i].value_or(0);
            model.bytes = model.footprint().total();
            model.where =
                memory::to_text(model.layouts[model.layout], wanted_[i].gpu_numbers, model.layers);
        }
        return std::find(chosen.begin(), chosen.end(), std::nullopt) == chosen.end();
    }

    /// The model with its settings turned down so far.
    Result<PlannedModel> milder(const Wanted& wanted, const Steps& steps) const {
        PlannedModel planned{.name = wanted.name, .pinned = wanted.pinned};
        if (wanted.fixed.has_value()) {
            plan_fixed(wanted, planned);
        } else if (const Status status = plan_sized(wanted, steps, planned); !status.ok()) {
            return status.error().with(wanted.name);
        }
        if (machine_.models_max != 0) {
            for (memory::Layout& layout : planned.layouts) {
                layout.footprint[memory::kModelCount] = Bytes(1);
            }
        }
        return planned;
    }

    Status plan_sized(const Wanted& wanted, const Steps& steps, PlannedModel& planned) const {
        models::ModelFacts facts = wanted.facts;
        auto settings =
            engines::resolve_settings(wanted.task, wanted.settings, defaults_, facts, machine_.cpu);
        if (!settings.ok()) {
            return settings.error();
        }
        planned.settings = std::move(settings).value();
        planned.changes = make_milder(steps, planned.settings, facts);
        planned.quantisation = facts.quantisation;
        const memory::SizeSettings sizing = control::size_settings(planned.settings, machine_.cpu);
        planned.size = memory::estimate_size(facts, sizing);
        const memory::LayerSizes layers = memory::layer_sizes(facts, sizing, wanted.beside);
        planned.layers = layers.layers.size();
        planned.layouts = memory::lay_out(layers, wanted.where, room_);
        planned.load_cached = memory::expected_load_time(facts, planned.size, true);
        planned.load_disk = memory::expected_load_time(facts, planned.size, false);
        if (facts.quantisation == wanted.facts.quantisation) {
            take_measured(wanted, planned);
        }
        return {};
    }

    /// What was measured replaces what is estimated.
    static void take_measured(const Wanted& wanted, PlannedModel& planned) {
        for (std::size_t i = 0; i < planned.layouts.size() && wanted.measured != nullptr; ++i) {
            memory::Layout& layout = planned.layouts[i];
            const auto known = wanted.measured(planned.settings, layout);
            if (!known.has_value()) {
                continue;
            }
            layout.footprint = known->footprint;
            planned.measured = true;
            if (i == 0) {
                planned.load_cached = known->load_time;
                planned.load_disk = std::max(planned.load_disk, known->load_time);
            }
        }
    }

    void plan_fixed(const Wanted& wanted, PlannedModel& planned) const {
        // What of it is what, only its engine knows.
        planned.size.process = wanted.fixed->all_on_host;
        planned.layouts = memory::lay_out_evenly(*wanted.fixed, wanted.where, room_);
        const ModelSettings& own = wanted.settings;
        ResolvedSettings& settings = planned.settings;
        settings.task = wanted.task;
        settings.context = own.context.value_or(0);
        settings.parallel = own.parallel.value_or(0);
        settings.queue = engines::first_of(own.queue, defaults_.queue).value_or(settings.queue);
        settings.keep_alive =
            engines::first_of(own.keep_alive, defaults_.keep_alive).value_or(settings.keep_alive);
        settings.priority =
            engines::first_of(own.priority, defaults_.priority).value_or(settings.priority);
        settings.min_residency = engines::first_of(own.min_residency, defaults_.min_residency);
        planned.load_cached = planned.load_disk = kLoadTimeGuess;
    }

    /// All are turned down step by step, the last named first, until they fit; then each setting is
    /// turned up again as far as there is room, of the first named first, quality before the rest.
    std::optional<std::vector<PlannedModel>> settings_that_fit(
        std::vector<PlannedModel> models) const {
        std::vector<Steps> steps(models.size());
        for (std::size_t i = 0; !fit(models);) {
            i = (i == 0 ? models.size() : i) - 1;
            if (!turn_down(steps[i])) {
                return std::nullopt;
            }
            models[i] = milder(wanted_[i], steps[i]).value();
        }
        for (std::size_t i = 0; i < models.size(); ++i) {
            for (std::size_t knob = kKnobs; knob-- > 0;) {
                turn_up(i, knob, steps[i], models);
            }
        }
        place(models);
        return models;
    }

    void turn_up(std::size_t i,
                 std::size_t knob,
                 Steps& steps,
                 std::vector<PlannedModel>& models) const {
        while (steps[knob] > 0) {
            --steps[knob];
            PlannedModel before = std::exchange(models[i], milder(wanted_[i], steps).value());
            if (!fit(models)) {
                models[i] = std::move(before);
                ++steps[knob];
                return;
            }
        }
    }

    /// The models as they can be loaded one at a time.
    std::vector<PlannedModel> each_alone(std::vector<PlannedModel> models) const {
        for (std::size_t i = 0; i < models.size(); ++i) {
            if (fits_alone(models[i])) {
                continue;
            }
            const std::vector<Wanted> only{wanted_[i]};
            const Planner planner(only, defaults_, machine_);
            if (auto fitting = planner.settings_that_fit({models[i]}); fitting.has_value()) {
                models[i] = std::move(fitting->front());
            }
        }
        return models;
    }

    /// The second of two rounds, in the order in which the models are named.
    std::optional<Round> one_round(const std::vector<PlannedModel>& planned) const {
        std::vector<ReplayModel> models = replay_models(planned);
        std::vector<Arrival> arrivals;
        Duration at{};
        for (int round = 0; round < 2; ++round) {
            for (std::size_t i = 0; i < models.size(); ++i) {
                models[i].traits.keep_alive = std::nullopt;
                if (fits_alone(planned[i])) {
                    arrivals.push_back({at += kRoundStep, i, Duration()});
                }
            }
        }
        const Replay replayed = replay(models, room_, machine_.scheduler, arrivals);
        Round round;
        std::vector<bool> seen(models.size());
        for (const Swap& swap : replayed.swaps) {
            if (seen[swap.model]) {
                round.swaps.push_back(swap);
                round.loading += swap.took;
            }
            seen[swap.model] = true;
        }
        for (std::size_t i = 0; i < models.size(); ++i) {
            if (fits_alone(planned[i]) && !seen[i]) {
                round.refused.push_back(i);
            }
        }
        return arrivals.empty() ? std::nullopt : std::optional(std::move(round));
    }

    const std::vector<Wanted>& wanted_;
    const ModelSettings& defaults_;
    const Machine& machine_;
    memory::Footprint budget_;
    memory::Footprint room_;  ///< of it, for models
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

std::vector<ReplayModel> replay_models(const std::vector<PlannedModel>& models) {
    std::vector<ReplayModel> replayed;
    for (const PlannedModel& planned : models) {
        const ResolvedSettings& settings = planned.settings;
        const bool stays = settings.keep_alive.count() < 0;
        std::vector<memory::Placement> placements;
        for (const memory::Layout& layout : planned.layouts) {
            placements.push_back({layout.footprint, layout.grade});
        }
        replayed.push_back(
            {.traits = {.placements = std::move(placements),
                        .lease_limit = settings.parallel,
                        .queue_limit = settings.queue,
                        .keep_alive = stays ? memory::KeepAlive() : settings.keep_alive,
                        .pinned = planned.pinned,
                        .priority = settings.priority,
                        .min_residency = settings.min_residency,
                        .load_time = planned.load_cached},
             .first_load = planned.load_disk});
    }
    return replayed;
}

}  // namespace drover::planner
