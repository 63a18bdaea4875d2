// drover-bench-eviction: what each eviction policy loads, over the least that anybody could load
// who knows the future. Prints a table; --check fails when the scheduler misses its aim.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "policies.hpp"
#include "traces.hpp"

namespace {

using drover::Bytes;
using drover::bench::Trace;
using drover::memory::EvictionPolicy;
using drover::memory::kEvictionPolicies;
using Sizes = std::vector<Bytes>;
using Cost = std::function<double(const Trace&, const Sizes&, Bytes)>;

/// The aims: mean over all cells, and in each cell over the best fixed policy.
constexpr double kMeanMax = 1.15;
constexpr double kOverBestMax = 1.10;

struct Policy {
    std::string name;
    Cost cost;
    bool fixed = true;  ///< a candidate for the best fixed policy
};

std::vector<Policy> policies() {
    std::vector<Policy> all;
    for (const EvictionPolicy policy : kEvictionPolicies) {
        all.push_back({std::string(drover::memory::name_of(policy)),
                       [policy](const Trace& trace, const Sizes& sizes, Bytes budget) {
                           return drover::bench::fixed_cost(trace, sizes, budget, policy);
                       }});
    }
    all.push_back({"successor", &drover::bench::successor_cost});
    all.push_back({"gdsf-5min", &drover::bench::clock_gdsf_cost});
    all.push_back({"scheduler", &drover::bench::scheduler_cost, false});
    return all;
}

struct Cell {
    std::string name;
    Bytes budget;
    std::vector<Trace> traces;  ///< one a seed
};

std::vector<Bytes> budgets() {
    return {Bytes(13'500'000'000), Bytes(16'000'000'000), Bytes(24'000'000'000)};
}

std::vector<Cell> synthetic_cells(std::uint64_t seeds, std::size_t requests) {
    using drover::bench::Traffic;
    std::vector<Cell> cells;
    for (const Bytes budget : budgets()) {
        for (const auto& [name, traffic] : {std::pair("zipf", Traffic::zipf),
                                            std::pair("sessions", Traffic::sessions),
                                            std::pair("chains", Traffic::chains)}) {
            Cell cell{name, budget, {}};
            for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
                cell.traces.push_back(drover::bench::synthetic(traffic, seed, requests));
            }
            cells.push_back(std::move(cell));
        }
    }
    return cells;
}

std::vector<Cell> azure_cells(const std::filesystem::path& folder, std::uint64_t seeds) {
    using drover::bench::Spread;
    std::vector<Cell> cells;
    for (const Bytes budget : budgets()) {
        for (const auto& [name, spread] : {std::pair("azure-zipf", Spread::zipf),
                                           std::pair("azure-sessions", Spread::sessions)}) {
            Cell cell{name, budget, {}};
            for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
                if (auto trace = drover::bench::azure(folder, spread, seed)) {
                    cell.traces.push_back(std::move(*trace));
                }
            }
            if (!cell.traces.empty()) {
                cells.push_back(std::move(cell));
            }
        }
    }
    return cells;
}

/// Prints one row a cell and the means. False when an aim is missed.
bool report(const std::vector<Cell>& cells, const std::vector<Policy>& all) {
    const Sizes sizes = drover::bench::model_sizes();
    std::printf("| cell |");
    for (const Policy& policy : all) {
        std::printf(" %s |", policy.name.c_str());
    }
    std::printf(" over best |\n|---|");
    for (std::size_t i = 0; i <= all.size(); ++i) {
        std::printf("---|");
    }
    std::vector<double> means(all.size());
    double worst = 0;
    for (const Cell& cell : cells) {
        std::vector<double> ratios(all.size());
        for (const Trace& trace : cell.traces) {
            const double least = drover::bench::optimal_cost(trace, sizes, cell.budget);
            for (std::size_t i = 0; i < all.size(); ++i) {
                ratios[i] += all[i].cost(trace, sizes, cell.budget) / least /
                             static_cast<double>(cell.traces.size());
            }
        }
        double best_fixed = ratios.front();
        std::printf(
            "\n| %.1f GB %s |", static_cast<double>(cell.budget.count()) / 1e9, cell.name.c_str());
        for (std::size_t i = 0; i < all.size(); ++i) {
            std::printf(" %.3f |", ratios[i]);
            means[i] += ratios[i] / static_cast<double>(cells.size());
            best_fixed = all[i].fixed ? std::min(best_fixed, ratios[i]) : best_fixed;
        }
        std::printf(" %.3f |", ratios.back() / best_fixed);
        worst = std::max(worst, ratios.back() / best_fixed);
    }
    std::printf("\n| mean (last: worst) |");
    for (const double mean : means) {
        std::printf(" %.3f |", mean);
    }
    std::printf(" %.3f |\n", worst);
    return means.back() <= kMeanMax && worst <= kOverBestMax;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seeds = 5;
    std::size_t requests = 4'000;
    std::filesystem::path traces = "../shared/data/traces";
    bool check = false;
    CLI::App app("Seconds of loading under each eviction policy, over the clairvoyant optimum.");
    app.add_option("--seeds", seeds, "Traces for each cell")->check(CLI::PositiveNumber);
    app.add_option("--requests", requests, "Length of a synthetic trace");
    app.add_option("--traces", traces, "Folder of the Azure traces");
    app.add_flag("--check", check, "Exit with 1 when the scheduler misses its aims");
    CLI11_PARSE(app, argc, argv);
    const std::vector<Policy> all = policies();
    bool fine = report(synthetic_cells(seeds, requests), all);
    if (const std::vector<Cell> cells = azure_cells(traces, seeds); !cells.empty()) {
        std::printf("\n");
        fine = report(cells, all) && fine;
    } else {
        std::printf("\nNo Azure traces in %s: skipped.\n", traces.c_str());
    }
    return check && !fine ? 1 : 0;
}
