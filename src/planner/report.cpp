#include "planner/report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <boost/json/array.hpp>

namespace drover::planner {

namespace json = boost::json;

namespace {

constexpr std::size_t kBarWidth = 40;
/// What the times of loads mean.
constexpr const char* kWholeLoads =
    "Loads are whole ones, from the page cache; models that can sleep wake up sooner.\n";

constexpr std::array kMoreMemory = {1.0, 1.25, 1.5, 2.0};

std::string seconds_text(Duration duration) {
    std::array<char, 32> text{};
    std::snprintf(
        text.data(), text.size(), "%.1f s", std::chrono::duration<double>(duration).count());
    return text.data();
}

std::int64_t milliseconds_of(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

std::string right(const std::string& text, std::size_t width) {
    return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

/// `from` and `to` in bytes of the whole bar.
std::string bar(Bytes from, Bytes to, Bytes whole) {
    const auto column = [whole](Bytes at) {
        const double share = static_cast<double>(at.count()) / static_cast<double>(whole.count());
        return static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * kBarWidth + 0.5);
    };
    const std::size_t begin = std::min(column(from), kBarWidth - 1);
    const std::size_t end = std::max(column(to), begin + 1);
    return std::string(begin, '.') + std::string(end - begin, '#') +
           std::string(kBarWidth - end, '.');
}

/// What lies in a device's memory, and under which name.
using Share = std::pair<std::string, Bytes>;

std::vector<Share> shares_of_device(const std::vector<PlannedModel>& models,
                                    const Plan& plan,
                                    std::size_t slot) {
    std::vector<Share> shares;
    for (const PlannedModel& model : models) {
        shares.emplace_back(model.name, model.footprint()[slot]);
    }
    if (slot == memory::kHostDevice) {
        shares.emplace_back("(drover)", plan.own);
    }
    return shares;
}

/// One line for each: where in the device's budget it lies, and what it takes of it.
std::string bars_of_device(const std::vector<Share>& shares, Bytes budget) {
    std::size_t width = 10;
    Bytes total;
    for (const auto& [name, bytes] : shares) {
        width = std::max(width, name.size() + 2);
        total += bytes;
    }
    const Bytes whole = std::max({total, budget, Bytes(1)});
    std::string text;
    Bytes at;
    for (const auto& [name, bytes] : shares) {
        if (bytes > Bytes(0)) {
            text += padded(name, width) + "[" + bar(at, at + bytes, whole) + "] " +
                    right(to_string(bytes), 10) + "\n";
        }
        at += bytes;
    }
    text += padded("together", width) + "[" + bar(Bytes(0), total, whole) + "] " +
            right(to_string(total), 10) + " of " + to_string(budget) + "\n";
    return text;
}

/// The same for each device, under its name when there are several.
std::string bars(const std::vector<PlannedModel>& models, const Plan& plan) {
    std::string text;
    for (std::size_t slot = 0; slot < plan.devices.size(); ++slot) {
        text += (plan.devices.size() > 1 ? plan.devices[slot] + "\n" : "") +
                bars_of_device(shares_of_device(models, plan, slot), plan.budget[slot]);
    }
    return text;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += i + 1 < row.size() ? padded(row[i], widths[i] + 2) : row[i];
        }
        text += line + "\n";
    }
    return text;
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
    std::string text;
    for (const std::string& part : parts) {
        text += (text.empty() ? "" : between) + part;
    }
    return text;
}

std::string names_of(const std::vector<std::size_t>& models, const Plan& plan) {
    std::vector<std::string> names;
    for (const std::size_t model : models) {
        names.push_back(plan.models[model].name);
    }
    return joined(names, ", ");
}

/// The bars are what was measured; the table says of what it was expected to consist.
std::string measured_text(const Plan& plan) {
    std::vector<std::string> names;
    for (const PlannedModel& model : plan.models) {
        if (model.measured) {
            names.push_back(model.name);
        }
    }
    return names.empty() ? ""
                         : "Measured here before, as the bars show: " + joined(names, ", ") + ".\n";
}

/// What is not as it was asked for, or not counted.
std::string notes_text(const Plan& plan) {
    std::string text;
    for (const PlannedModel& model : plan.models) {
        for (const std::string& note : model.settings.notes) {
            text += "Note: " + model.name + ": " + note + ".\n";
        }
    }
    return text;
}

std::string sizes(const Plan& plan) {
    const bool several = plan.devices.size() > 1;
    std::vector<std::vector<std::string>> rows{{"MODEL",
                                                "QUANT",
                                                "WEIGHTS",
                                                "KV CACHE",
                                                "OTHER",
                                                "CONTEXT",
                                                "PARALLEL",
                                                "LOAD (CACHED)",
                                                "LOAD (DISK)"}};
    if (several) {
        rows.front().emplace_back("WHERE");
    }
    for (const PlannedModel& model : plan.models) {
        const Bytes weights = model.size.weights_mapped + model.size.weights_anonymous;
        const Bytes cache =
            model.size.kv_cache + model.size.recurrent_state + model.size.checkpoints;
        rows.push_back({model.name,
                        model.quantisation,
                        to_string(weights),
                        to_string(cache),
                        to_string(std::max(model.bytes - weights - cache, Bytes(0))),
                        std::to_string(model.settings.context),
                        std::to_string(model.settings.parallel),
                        seconds_text(model.load_cached),
                        seconds_text(model.load_disk)});
        if (several) {
            rows.back().push_back(model.where);
        }
    }
    return table(rows) + measured_text(plan) + notes_text(plan);
}

std::string changes_text(const std::vector<PlannedModel>& models) {
    std::string text;
    for (const PlannedModel& model : models) {
        if (!model.changes.empty()) {
            text += "  " + model.name + ": " + joined(model.changes, ", ") + "\n";
        }
    }
    return text;
}

std::string round_text(const Plan& plan) {
    const Round& round = *plan.round;
    std::string text = "With strategy dynamic, asking each in turn swaps:\n";
    for (const Swap& swap : round.swaps) {
        text += "  " + plan.models[swap.model].name + " loads in " + seconds_text(swap.took) +
                (swap.left.empty() ? "" : " when " + names_of(swap.left, plan) + " left") + "\n";
    }
    if (!round.refused.empty()) {
        text +=
            "  no memory is left for " + names_of(round.refused, plan) + ": what is pinned stays\n";
    }
    return text + "  one round: " + std::to_string(round.swaps.size()) + " loads, " +
           seconds_text(round.loading) + "\n";
}

/// Those that do not fit alone as asked for, and what would help.
std::string alone_text(const Plan& plan) {
    std::string text;
    for (const std::size_t model : plan.never) {
        const PlannedModel& alone = plan.alone[model];
        text += alone.name + " does not fit alone" +
                (alone.changes.empty() ? ", whatever its settings"
                                       : "; it would with " + joined(alone.changes, ", ")) +
                ".\n";
    }
    return text;
}

/// Why they do not fit together, when that is no question of memory.
std::string count_text(const Plan& plan) {
    const Bytes limit = plan.budget[memory::kModelCount];
    if (plan.total[memory::kModelCount] <= limit) {
        return "";
    }
    return "memory.max_models lets " + std::to_string(limit.count()) + " of " +
           std::to_string(plan.models.size()) + " be in memory at once.\n";
}

std::string replay_text(const std::vector<Replayed>& replayed) {
    std::vector<std::vector<std::string>> rows{{"BUDGET",
                                                "SERVED",
                                                "REFUSED",
                                                "LOADS",
                                                "EVICTIONS",
                                                "LOADING",
                                                "WAIT MEAN",
                                                "P50",
                                                "P95",
                                                "MAX"}};
    for (const Replayed& one : replayed) {
        const Replay& outcome = one.outcome;
        rows.push_back({to_string(one.budget.total()),
                        std::to_string(outcome.served),
                        std::to_string(outcome.refused),
                        std::to_string(outcome.loads),
                        std::to_string(outcome.evictions),
                        seconds_text(outcome.loading),
                        seconds_text(outcome.waited_mean),
                        seconds_text(outcome.waited_p50),
                        seconds_text(outcome.waited_p95),
                        seconds_text(outcome.waited_max)});
    }
    return "\nThe trace, and what more memory would buy:\n" + table(rows);
}

json::object to_json(const memory::Footprint& footprint, const std::vector<std::string>& devices) {
    json::object object;
    for (std::size_t slot = 0; slot < devices.size(); ++slot) {
        object[devices[slot]] = footprint[slot].count();
    }
    return object;
}

json::object to_json(const PlannedModel& model, const std::vector<std::string>& devices) {
    const auto array = [](const std::vector<std::string>& texts) {
        return json::array(texts.begin(), texts.end());
    };
    return {{"model", model.name},
            {"quantisation", model.quantisation},
            {"bytes", model.bytes.count()},
            {"where", model.where},
            {"devices", to_json(model.footprint(), devices)},
            {"weights_bytes", (model.size.weights_mapped + model.size.weights_anonymous).count()},
            {"kv_cache_bytes", model.size.kv_cache.count()},
            {"prompt_cache_bytes", model.size.prompt_cache.count()},
            {"context", model.settings.context},
            {"parallel", model.settings.parallel},
            {"cache_type_k", model.settings.cache_type_k},
            {"cache_type_v", model.settings.cache_type_v},
            {"load_cached_ms", milliseconds_of(model.load_cached)},
            {"load_disk_ms", milliseconds_of(model.load_disk)},
            {"measured", model.measured},
            {"pinned", model.pinned},
            {"notes", array(model.settings.notes)},
            {"changes", array(model.changes)}};
}

json::array to_json(const std::vector<PlannedModel>& models,
                    const std::vector<std::string>& devices) {
    json::array array;
    for (const PlannedModel& model : models) {
        array.push_back(to_json(model, devices));
    }
    return array;
}

json::array names_to_json(const std::vector<std::size_t>& models, const Plan& plan) {
    json::array names;
    for (const std::size_t model : models) {
        names.emplace_back(plan.models[model].name);
    }
    return names;
}

json::object to_json(const Plan& plan, const Round& round) {
    json::array swaps;
    for (const Swap& swap : round.swaps) {
        swaps.push_back(json::object{{"load", plan.models[swap.model].name},
                                     {"left", names_to_json(swap.left, plan)},
                                     {"ms", milliseconds_of(swap.took)}});
    }
    return {{"swaps", std::move(swaps)},
            {"loading_ms", milliseconds_of(round.loading)},
            {"refused", names_to_json(round.refused, plan)}};
}

json::object to_json(const Replayed& one) {
    return {{"budget_bytes", one.budget.total().count()},
            {"served", one.outcome.served},
            {"refused", one.outcome.refused},
            {"loads", one.outcome.loads},
            {"evictions", one.outcome.evictions},
            {"loading_ms", milliseconds_of(one.outcome.loading)},
            {"waited_mean_ms", milliseconds_of(one.outcome.waited_mean)},
            {"waited_p50_ms", milliseconds_of(one.outcome.waited_p50)},
            {"waited_p95_ms", milliseconds_of(one.outcome.waited_p95)},
            {"waited_max_ms", milliseconds_of(one.outcome.waited_max)}};
}

}  // namespace

std::vector<Replayed> replay_with_more(const Plan& plan,
                                       const memory::SchedulerOptions& options,
                                       const std::vector<Arrival>& arrivals) {
    std::vector<memory::Footprint> budgets;
    for (const double factor : kMoreMemory) {
        memory::Footprint budget = plan.budget;
        for (std::size_t slot = 0; slot < plan.devices.size(); ++slot) {
            const auto bytes = static_cast<double>(plan.budget[slot].count()) * factor;
            budget[slot] = Bytes(static_cast<std::int64_t>(bytes));
        }
        if (plan.total.fits(plan.left_of(budget))) {
            break;
        }
        budgets.push_back(budget);
    }
    // More than enough for all changes nothing. Memory does not buy places among the models.
    memory::Footprint enough = plan.budget;
    enough.raise_to(plan.total + memory::Footprint::host(plan.own));
    enough[memory::kModelCount] = plan.budget[memory::kModelCount];
    budgets.push_back(enough);
    const std::vector<ReplayModel> models = replay_models(plan.models);
    std::vector<Replayed> replayed;
    for (const memory::Footprint& budget : budgets) {
        replayed.push_back({budget, replay(models, plan.left_of(budget), options, arrivals)});
    }
    return replayed;
}

std::string refusal(const Plan& plan) {
    std::string text = "the models do not fit together: they take " +
                       to_string(plan.total.total()) + " beside Drover's own " +
                       to_string(plan.own) + ", and the budget is " +
                       to_string(plan.budget.total()) + "\n" + bars(plan.models, plan) +
                       count_text(plan) + alone_text(plan);
    if (plan.fitting.has_value()) {
        text += "They would fit with\n" + changes_text(*plan.fitting);
    } else {
        text += "No settings make them fit: use fewer or smaller models, or a larger budget.\n";
    }
    return text;
}

std::string to_text(const Plan& plan, const std::vector<Replayed>& replayed) {
    std::string text = bars(plan.models, plan) + "\n" + sizes(plan) + "\n";
    if (plan.fits) {
        text += "All fit together: strategy concurrent keeps them in memory, " +
                to_string((plan.left_of(plan.budget) - plan.total).total()) + " stay free.\n";
    } else {
        text += "They do not fit together.\n" + count_text(plan) + alone_text(plan);
        if (plan.fitting.has_value()) {
            text += "With these settings all would stay in memory:\n" +
                    changes_text(*plan.fitting) + bars(*plan.fitting, plan);
        } else {
            text += "No settings make all of them fit.\n";
        }
        if (plan.round.has_value()) {
            text += round_text(plan);
        }
    }
    if (!replayed.empty()) {
        text += replay_text(replayed);
    }
    return plan.round.has_value() || !replayed.empty() ? text + kWholeLoads : text;
}

json::object to_json(const Plan& plan, const std::vector<Replayed>& replayed) {
    json::object result{{"budget_bytes", plan.budget.total().count()},
                        {"own_bytes", plan.own.count()},
                        {"total_bytes", plan.total.total().count()},
                        {"budgets", to_json(plan.budget, plan.devices)},
                        {"totals", to_json(plan.total, plan.devices)},
                        {"fits", plan.fits},
                        {"models", to_json(plan.models, plan.devices)},
                        {"never_fit", names_to_json(plan.never, plan)}};
    if (plan.budget[memory::kModelCount] > Bytes(0)) {
        result["models_max"] = plan.budget[memory::kModelCount].count();
    }
    if (plan.fitting.has_value()) {
        result["fitting"] = to_json(*plan.fitting, plan.devices);
    }
    if (!plan.alone.empty()) {
        result["alone"] = to_json(plan.alone, plan.devices);
    }
    if (plan.round.has_value()) {
        result["round"] = to_json(plan, *plan.round);
    }
    if (!replayed.empty()) {
        json::array rows;
        for (const Replayed& one : replayed) {
            rows.push_back(to_json(one));
        }
        result["replay"] = std::move(rows);
    }
    return result;
}

}  // namespace drover::planner
