#include "scenario.hpp"

#include <algorithm>
#include <utility>

namespace drover::sim {

using memory::Footprint;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// Time that a load, a stop (or a sleep and then a stop) and scheduling take beside the modelled
/// means.
constexpr int kLoadSpread = 2;
constexpr Duration kStopMax = milliseconds(200);

SimModel plain_model(Bytes bytes, Duration load_time, Duration serve_min, Duration serve_max) {
    SimModel model;
    model.traits.placements = {{Footprint::host(bytes)}};
    model.traits.load_time = model.load_time = load_time;
    model.serve_min = serve_min;
    model.serve_max = serve_max;
    return model;
}

memory::KeepAlive random_keep_alive(Rng& rng) {
    if (rng.chance(0.1)) {
        return std::nullopt;
    }
    return rng.chance(0.2) ? milliseconds(0) : milliseconds(rng.between(1, 600'000));
}

/// `bytes` in equal parts over `devices`, and `beside` on the host.
memory::Placement spread(Bytes bytes,
                         Bytes beside,
                         const std::vector<std::size_t>& devices,
                         std::uint32_t grade) {
    memory::Placement placement{.footprint = Footprint::host(beside), .grade = grade};
    for (const std::size_t device : devices) {
        placement.footprint[device] += Bytes(bytes.count() / std::ssize(devices));
    }
    return placement;
}

/// On the host alone, on a certain GPU or pair of them, or wherever it fits: on any GPU, over any
/// two neighbours, half of it on the host, all of it there.
std::vector<memory::Placement> random_placements(Rng& rng, Bytes bytes, std::size_t gpus) {
    constexpr std::size_t kHost = memory::kHostDevice;
    const Bytes beside = 1_MiB * rng.between(0, 500);
    if (gpus == 0 || rng.chance(0.2)) {
        return {spread(bytes, Bytes(0), {kHost}, 0)};
    }
    const std::size_t first = 1 + rng.below(gpus);
    if (rng.chance(0.4)) {
        return {spread(bytes, beside, {first, 1 + first % gpus}, 0)};
    }
    std::vector<memory::Placement> placements;
    for (std::size_t gpu = 1; gpu <= gpus; ++gpu) {
        placements.push_back(spread(bytes, beside, {gpu}, 0));
    }
    for (std::size_t gpu = 1; gpu < gpus; ++gpu) {
        placements.push_back(spread(bytes, beside, {gpu, gpu + 1}, 1));
    }
    if (rng.chance(0.5)) {
        placements.push_back(spread(bytes, beside, {first, kHost}, 2));
        placements.push_back(spread(bytes, Bytes(0), {kHost}, 3));
    }
    return placements;
}

SimModel random_model(Rng& rng, std::size_t gpus) {
    const Bytes bytes = 1_MiB * rng.between(50, 14'000);
    SimModel model;
    model.traits.placements = random_placements(rng, bytes, gpus);
    if (rng.chance(0.5)) {
        // With several placements, what it has in each of them.
        const Footprint first = model.traits.placements.front().footprint;
        const Footprint kept = scaled(model.traits.placements.size() == 1
                                          ? first
                                          : Footprint::host(first[memory::kHostDevice]),
                                      0.01 + 0.5 * rng.unit());
        for (memory::Placement& placement : model.traits.placements) {
            placement.asleep = {kept};
        }
    }
    model.truth = 0.9 + 0.2 * rng.unit();
    model.load_time = milliseconds(200) + milliseconds(bytes.count() / 1'000'000);
    model.traits.load_time = rng.chance(0.2) ? Duration() : model.load_time;
    model.traits.lease_limit = static_cast<std::uint32_t>(1 + rng.below(4));
    model.traits.queue_limit = rng.chance(0.2) ? 1 : static_cast<std::uint32_t>(1 + rng.below(64));
    model.traits.pinned = rng.chance(0.05);
    model.traits.priority = rng.chance(0.2) ? static_cast<std::int32_t>(rng.between(-2, 2)) : 0;
    model.traits.keep_alive = random_keep_alive(rng);
    model.serve_min = milliseconds(rng.between(1, 1'000));
    model.serve_max = model.serve_min * rng.between(1, 10);
    return model;
}

/// Most that can sleep keep a little of each of their GPUs, and half of these move the rest to host
/// memory meanwhile, which has room for some of them; half of these have a second way to sleep in
/// which they do not.
void sleep_on_gpus(Rng& rng, Scenario& scenario) {
    Bytes moved_in_all;
    for (SimModel& model : scenario.models) {
        const bool changes = rng.chance(0.7);
        const bool moves = rng.chance(0.5);
        const bool falls_back = rng.chance(0.5);
        for (memory::Placement& placement : model.traits.placements) {
            Footprint gpus = placement.footprint;
            gpus[memory::kHostDevice] = Bytes(0);
            if (!changes || placement.asleep.empty() || gpus.empty()) {
                continue;
            }
            const Bytes moved = moves ? scaled(gpus, 0.8).total() : Bytes(0);
            Footprint deep = scaled(gpus, 0.1);
            deep[memory::kHostDevice] = std::as_const(placement.footprint)[memory::kHostDevice];
            placement.asleep = {deep + Footprint::host(moved)};
            if (moves && falls_back) {
                placement.asleep.push_back(deep);
            }
            moved_in_all += moved;
        }
    }
    scenario.budget += scaled(Footprint::host(moved_in_all), 0.3 * rng.unit());
}

/// Only so many models may be in memory, however small they are.
void limit_number(Rng& rng, Scenario& scenario) {
    for (SimModel& model : scenario.models) {
        for (memory::Placement& placement : model.traits.placements) {
            placement.footprint[memory::kModelCount] = Bytes(1);
        }
    }
    const auto most = static_cast<std::int64_t>(1 + rng.below(scenario.models.size()));
    scenario.budget[memory::kModelCount] = Bytes(most);
}

FaultRates random_faults(Rng& rng) {
    return {.load_fails = 0.1 * rng.unit(),
            .load_hangs = 0.02 * rng.unit(),
            .sleep_fails = 0.05 * rng.unit(),
            .crash = 0.05 * rng.unit(),
            .grows = 0.05 * rng.unit(),
            .client_leaves = 0.2 * rng.unit(),
            .budget_changes = 0.01 * rng.unit(),
            .unload = 0.02 * rng.unit(),
            .load = 0.02 * rng.unit(),
            .redeclare = 0.005 * rng.unit()};
}

}  // namespace

Footprint scaled(const Footprint& footprint, double factor) {
    Footprint result;
    for (std::size_t device = 0; device < memory::kDevicesMax; ++device) {
        if (footprint[device] != Bytes(0)) {
            const auto bytes = static_cast<double>(footprint[device].count()) * factor;
            result[device] = Bytes(static_cast<std::int64_t>(bytes));
        }
    }
    if (footprint[memory::kModelCount] != Bytes(0)) {
        result[memory::kModelCount] = footprint[memory::kModelCount];
    }
    return result;
}

// How long a request can wait when nothing fails, or when nothing fails any more: a crash leaves
// its back-off behind. After max_wait its model is owed memory: youth and priorities count no more,
// and no younger request gets what it claims. Then there are
//  1. turns, each at most a running request, a stop and a load: one for what is under way, one for
//     each request that is older, for an instance that retires for one of them may leave others
//     behind, which need a load of their own, and one for its own model;
//  2. a turn for each model whose first load takes more than estimated: it may break off loads, and
//     those that had room together have it again when the larger one has left. Later loads reserve
//     what was measured;
//  3. instances that were promised while idle and are used once more before they retire, one after
//     the other. Whoever is loaded later is part of a turn.
Duration Scenario::wait_bound() const {
    Duration load_max{};
    Duration serve_max{};
    std::int64_t larger = 0;
    for (const SimModel& model : models) {
        load_max = std::max(load_max, model.load_time * kLoadSpread);
        serve_max = std::max(serve_max, model.serve_max);
        larger += model.truth > 1 ? 1 : 0;
    }
    const auto others = static_cast<std::int64_t>(clients);
    const std::int64_t turns = 1 + others + larger;
    const std::int64_t slowdown = cores == 0 ? 1 : 1 + others / cores;
    return options.max_wait + options.backoff_patience +
           (turns * (load_max + kStopMax + serve_max) +
            static_cast<std::int64_t>(models.size()) * serve_max) *
               slowdown;
}

Scenario random_scenario(std::uint64_t seed) {
    Rng rng(seed ^ 0x5eedU);
    Scenario scenario;
    const std::size_t models = 1 + rng.below(rng.chance(0.2) ? 64 : 16);
    const std::size_t gpus = rng.chance(0.4) ? 1 + rng.below(3) : 0;
    Footprint largest;
    Footprint sum;
    for (std::size_t i = 0; i < models; ++i) {
        const SimModel model = random_model(rng, gpus);
        const auto& placements = model.traits.placements;
        const Footprint& fits = placements[rng.below(placements.size())].footprint;
        largest.raise_to(fits);
        sum += fits;
        scenario.models.push_back(model);
    }
    scenario.budget = scaled(sum, rng.chance(0.5) ? 0.5 : 0.2 + 0.8 * rng.unit());
    const bool barely_one = rng.chance(0.2);
    if (barely_one) {
        scenario.budget = largest;
    }
    scenario.budget.raise_to(largest);
    scenario.options.max_wait =
        rng.chance(0.1) ? milliseconds(1) : milliseconds(rng.between(100, 60'000));
    scenario.options.min_residency = milliseconds(rng.between(0, 10'000));
    if (rng.chance(0.8)) {
        scenario.faults = random_faults(rng);
    }
    scenario.pattern = static_cast<Pattern>(rng.below(5));
    scenario.clients = 1 + rng.below(64);
    scenario.think_mean = milliseconds(rng.between(0, 2'000));
    scenario.bursts = rng.chance(0.3);
    scenario.own_keep_alive = rng.chance(0.3) ? 0.2 : 0;
    scenario.cores = rng.chance(0.2) ? static_cast<unsigned>(1 + rng.below(8)) : 0;
    // With numbers of its own, so that seeds mean what they meant before.
    Rng beds(seed ^ 0xbed5U);
    sleep_on_gpus(beds, scenario);
    if (beds.chance(0.2)) {
        limit_number(beds, scenario);
    }
    return scenario;
}

Scenario trio() {
    Scenario scenario;
    for (const int load_ms : {600, 1'100, 800}) {
        scenario.models.push_back(
            plain_model(1_GiB, milliseconds(load_ms), milliseconds(200), milliseconds(1'000)));
        scenario.models.back().traits.lease_limit = 2;
    }
    scenario.budget = Footprint::host(2_GiB);
    scenario.pattern = Pattern::uniform;
    scenario.clients = 8;
    scenario.cores = 2;
    scenario.think_mean = milliseconds(5);
    scenario.requests_max = 60;
    return scenario;
}

Scenario starving() {
    Scenario scenario;
    for (int i = 0; i < 3; ++i) {
        scenario.models.push_back(
            plain_model(1_GiB, milliseconds(500), milliseconds(200), milliseconds(600)));
        scenario.models.back().traits.lease_limit = 2;
    }
    scenario.budget = Footprint::host(1_GiB);
    scenario.pattern = Pattern::hot_one;
    scenario.clients = 16;
    scenario.think_mean = milliseconds(1);
    return scenario;
}

Scenario agents() {
    Scenario scenario;
    for (int i = 0; i < 4; ++i) {
        scenario.models.push_back(
            plain_model(1_GiB, milliseconds(1'000), milliseconds(300), milliseconds(900)));
    }
    scenario.budget = Footprint::host(2_GiB);
    scenario.pattern = Pattern::chains;
    scenario.clients = 1;
    scenario.think_mean = milliseconds(200);
    scenario.requests_max = 400;
    return scenario;
}

Scenario besieged(std::uint64_t seed) {
    Rng rng(seed);
    Scenario scenario;
    const std::size_t others = 2 + rng.below(14);
    const std::size_t besiegers = 1 + rng.below(3);
    const auto room = static_cast<std::int64_t>(others);
    for (std::size_t i = 0; i < besiegers + others; ++i) {
        const Bytes bytes = 1_GiB * (i < besiegers ? rng.between((room + 1) / 2, room) : 1);
        scenario.models.push_back(plain_model(bytes,
                                              milliseconds(rng.between(200, 2'000)),
                                              milliseconds(rng.between(1, 500)),
                                              milliseconds(rng.between(500, 5'000))));
        scenario.models.back().traits.lease_limit = static_cast<std::uint32_t>(1 + rng.below(4));
        if (rng.chance(0.5)) {
            scenario.models.back().traits.placements.front().asleep = {
                Footprint::host(1_MiB * rng.between(10, bytes.count() >> 20))};
        }
    }
    scenario.budget = Footprint::host(1_GiB * room);
    scenario.options.max_wait = milliseconds(rng.chance(0.2) ? 1 : rng.between(100, 20'000));
    scenario.options.min_residency = milliseconds(rng.between(0, 10'000));
    scenario.pattern = rng.chance(0.5) ? Pattern::uniform : Pattern::sessions;
    scenario.clients = 4 + rng.below(60);
    scenario.think_mean = milliseconds(rng.between(0, 50));
    scenario.cores = rng.chance(0.3) ? 2 : 0;
    return scenario;
}

Scenario crowd(std::size_t models, std::size_t requests) {
    Rng rng(models);
    Scenario scenario;
    Bytes sum;
    Bytes largest;
    for (std::size_t i = 0; i < models; ++i) {
        const Bytes bytes = 1_MiB * rng.between(500, 13'500);
        sum += bytes;
        largest = std::max(largest, bytes);
        const Duration load_time = milliseconds(200) + milliseconds(bytes.count() / 1'000'000);
        scenario.models.push_back(
            plain_model(bytes, load_time, milliseconds(100), milliseconds(2'000)));
        scenario.models.back().traits.lease_limit = 4;
    }
    scenario.budget = Footprint::host(std::max(Bytes(sum.count() / 10), largest));
    scenario.pattern = Pattern::zipf;
    scenario.clients = std::max<std::size_t>(models / 2, 1);
    scenario.think_mean = seconds(2);
    scenario.requests_max = requests;
    return scenario;
}

std::optional<Scenario> scenario_named(std::string_view name, std::uint64_t seed) {
    if (name == "random") {
        return random_scenario(seed);
    }
    if (name == "trio") {
        return trio();
    }
    if (name == "starving") {
        return starving();
    }
    if (name == "agents") {
        return agents();
    }
    if (name == "besieged") {
        return besieged(seed);
    }
    return std::nullopt;
}

}  // namespace drover::sim
