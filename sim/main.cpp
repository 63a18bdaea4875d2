// drover-sim: runs the real memory scheduler in a simulated world.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "world.hpp"

namespace {

using drover::Duration;
using drover::sim::Fares;
using drover::sim::RunOptions;
using drover::sim::Summary;
using Count = unsigned long long;

struct Arguments {
    std::string scenario = "random";
    std::uint64_t seed = 1;
    std::string seeds;  ///< "A..B", or "N" for 1..N
    RunOptions run{.events_max = 100'000};
    std::size_t models = 1'000;        ///< of a crowd
    std::size_t requests = 1'000'000;  ///< of a crowd
    double max_wait = 0;               ///< seconds; 0: the scenario's
    double min_residency = -1;         ///< seconds; negative: the scenario's
};

/// First and last of "A..B", or of "N".
std::optional<std::pair<std::uint64_t, std::uint64_t>> range_of(const std::string& text) {
    std::uint64_t first = 1;
    std::uint64_t last = 0;
    if (std::sscanf(text.c_str(), "%lu..%lu", &first, &last) == 2) {
        return std::pair(first, last);
    }
    return std::sscanf(text.c_str(), "%lu", &last) == 1
               ? std::optional(std::pair(std::uint64_t{1}, last))
               : std::nullopt;
}

double seconds_of(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double quantile(std::vector<Duration> values, double share) {
    if (values.empty()) {
        return 0;
    }
    const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + at, values.end());
    return seconds_of(values[static_cast<std::size_t>(at)]);
}

void print(const char* what, const std::vector<Duration>& values) {
    std::printf("%s p50 %.3f s, p95 %.3f s, max %.3f s\n",
                what,
                quantile(values, 0.5),
                quantile(values, 0.95),
                quantile(values, 1));
}

void print(const Summary& summary, double took) {
    const Fares& fares = summary.fares;
    std::printf("events %llu in %.2f s (%.0f a second), virtual time %.1f s, faults %llu\n",
                Count{summary.events},
                took,
                static_cast<double>(summary.events) / took,
                seconds_of(summary.virtual_time),
                Count{summary.faults});
    std::printf("requests %llu: served %llu, refused %llu, cancelled %llu, hit by a crash %llu\n",
                Count{fares.arrived},
                Count{fares.served},
                Count{fares.refused},
                Count{fares.cancelled},
                Count{fares.crashed});
    std::printf("loads %llu, awakenings %llu, evictions %llu, last answer at %.1f s\n",
                Count{summary.loads},
                Count{summary.wakes},
                Count{summary.evictions},
                seconds_of(fares.last_served.time_since_epoch()));
    print("waited ", fares.waits);
    print("latency", fares.latencies);
    std::printf("hash %016llx\n", Count{summary.hash});
}

/// False when a promise was broken.
bool run(const Arguments& arguments, std::uint64_t seed, bool verbose) {
    auto scenario = arguments.scenario == "crowd"
                        ? drover::sim::crowd(arguments.models, arguments.requests)
                        : drover::sim::scenario_named(arguments.scenario, seed).value();
    if (arguments.max_wait > 0) {
        scenario.options.max_wait =
            std::chrono::milliseconds(static_cast<std::int64_t>(arguments.max_wait * 1e3));
    }
    if (arguments.min_residency >= 0) {
        scenario.options.min_residency =
            std::chrono::milliseconds(static_cast<std::int64_t>(arguments.min_residency * 1e3));
    }
    // Of the processor: others may be using the machine, too.
    const std::clock_t begun = std::clock();
    const Summary summary = drover::sim::World(scenario, seed).run(arguments.run);
    const double took = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    if (!summary.violation.empty()) {
        std::printf(
            "seed %llu broke a promise after %llu events: %s\n"
            "repeat: drover-sim --scenario %s --seed %llu --events %llu\n",
            Count{seed},
            Count{summary.events},
            summary.violation.c_str(),
            arguments.scenario.c_str(),
            Count{seed},
            Count{arguments.run.events_max});
        return false;
    }
    if (verbose) {
        print(summary, took);
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    CLI::App app(
        "Runs Drover's memory scheduler in a simulated world; the same seed gives the same hash.");
    app.add_option("--seed", arguments.seed, "Decides everything");
    app.add_option("--seeds", arguments.seeds, "Seeds 1 to N, or a range A..B; for nightly runs")
        ->check([](const std::string& text) {
            return range_of(text).has_value() ? "" : "must be N or A..B";
        });
    app.add_option("--events", arguments.run.events_max, "Scheduler events for each seed");
    app.add_option("--scenario", arguments.scenario, "What is simulated")
        ->check(CLI::IsMember({"random", "trio", "starving", "agents", "besieged", "crowd"}));
    app.add_option("--models", arguments.models, "Of a crowd")->check(CLI::Range(1, 100'000));
    app.add_option("--requests", arguments.requests, "Of a crowd");
    app.add_option(
        "--check-every", arguments.run.check_every, "Events between full checks; 0: never");
    app.add_option("--max-wait", arguments.max_wait, "Seconds, instead of the scenario's");
    app.add_option(
        "--min-residency", arguments.min_residency, "Seconds, instead of the scenario's");
    CLI11_PARSE(app, argc, argv);
    std::uint64_t first = arguments.seed;
    std::uint64_t last = arguments.seed;
    if (!arguments.seeds.empty()) {
        std::tie(first, last) = *range_of(arguments.seeds);
    }
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        if (!run(arguments, seed, arguments.seeds.empty())) {
            return 1;
        }
    }
    if (!arguments.seeds.empty()) {
        std::printf("%llu seeds kept every promise\n", Count{last - first + 1});
    }
    return 0;
}
