// drover-sim: runs the real memory scheduler in a simulated world.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "world.hpp"

namespace {

using drover::Duration;
using drover::sim::Summary;

double seconds_of(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double quantile(std::vector<Duration> values, double share) {
    if (values.empty()) {
        return 0;
    }
    const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(
        values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
    return seconds_of(values[at]);
}

void print(const Summary& summary, double took) {
    std::printf("events %llu in %.2f s, virtual time %.0f s\n",
                static_cast<unsigned long long>(summary.events),
                took,
                seconds_of(summary.virtual_time));
    std::printf("requests %llu: served %llu, refused %llu, cancelled %llu, hit by a crash %llu\n",
                static_cast<unsigned long long>(summary.arrived),
                static_cast<unsigned long long>(summary.served),
                static_cast<unsigned long long>(summary.refused),
                static_cast<unsigned long long>(summary.cancelled),
                static_cast<unsigned long long>(summary.crashed));
    std::printf("loads %llu, evictions %llu; wait p50 %.3f s, p95 %.3f s, max %.3f s\n",
                static_cast<unsigned long long>(summary.loads),
                static_cast<unsigned long long>(summary.evictions),
                quantile(summary.waits, 0.5),
                quantile(summary.waits, 0.95),
                quantile(summary.waits, 1));
    std::printf("hash %016llx\n", static_cast<unsigned long long>(summary.hash));
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = 1;
    std::uint64_t seeds = 1;
    std::uint64_t events = 100'000;
    CLI::App app(
        "Runs Drover's memory scheduler in a simulated world; the same seed gives the same hash.");
    app.add_option("--seed", seed, "First seed");
    app.add_option("--seeds", seeds, "How many seeds, counting up");
    app.add_option("--events", events, "Scheduler events for each seed");
    CLI11_PARSE(app, argc, argv);
    for (std::uint64_t one = seed; one < seed + seeds; ++one) {
        const auto begun = std::chrono::steady_clock::now();
        const Summary summary =
            drover::sim::World(drover::sim::random_scenario(one), one).run(events);
        const auto took = std::chrono::steady_clock::now() - begun;
        if (!summary.violation.empty()) {
            std::printf(
                "seed %llu broke a promise after %llu events: %s\n"
                "repeat: drover-sim --seed %llu --events %llu\n",
                static_cast<unsigned long long>(one),
                static_cast<unsigned long long>(summary.events),
                summary.violation.c_str(),
                static_cast<unsigned long long>(one),
                static_cast<unsigned long long>(events));
            return 1;
        }
        if (seeds == 1) {
            print(summary, seconds_of(took));
        }
    }
    if (seeds > 1) {
        std::printf("%llu seeds kept every promise\n", static_cast<unsigned long long>(seeds));
    }
    return 0;
}
