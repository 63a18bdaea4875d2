#include "traces.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "base/assert.hpp"
#include "base/rng.hpp"

namespace drover::bench {

namespace {

constexpr double kExponent = 0.9;
constexpr double kSecondsBetween = 10;

/// Draws from models in a seeded order of popularity.
class Zipf {
  public:
    Zipf(std::vector<std::size_t> models, Rng& rng) : models_(std::move(models)) {
        for (std::size_t i = models_.size() - 1; i > 0; --i) {
            std::swap(models_[i], models_[rng.below(i + 1)]);
        }
        double sum = 0;
        for (std::size_t rank = 1; rank <= models_.size(); ++rank) {
            sum += 1 / std::pow(static_cast<double>(rank), kExponent);
            cumulative_.push_back(sum);
        }
    }
    std::size_t draw(Rng& rng) const {
        const auto found = std::lower_bound(
            cumulative_.begin(), cumulative_.end(), rng.unit() * cumulative_.back());
        return models_[static_cast<std::size_t>(found - cumulative_.begin())];
    }

  private:
    std::vector<std::size_t> models_;
    std::vector<double> cumulative_;
};

std::vector<std::size_t> numbers(std::size_t first, std::size_t count) {
    std::vector<std::size_t> result(count);
    std::iota(result.begin(), result.end(), first);
    return result;
}

/// People who change their model now and then.
class Sessions {
  public:
    Sessions(std::size_t people, double ends, const Zipf& zipf, Rng& rng)
        : ends_(ends), zipf_(zipf), rng_(rng), current_(people) {
        std::generate(current_.begin(), current_.end(), [&] { return zipf.draw(rng); });
    }
    std::size_t next() {
        std::size_t& model = current_[rng_.below(current_.size())];
        if (rng_.chance(ends_)) {
            model = zipf_.draw(rng_);
        }
        return model;
    }

  private:
    double ends_;
    const Zipf& zipf_;
    Rng& rng_;
    std::vector<std::size_t> current_;
};

/// Agents that call models in fixed orders.
class Chains {
  public:
    Chains(const Zipf& zipf, Rng& rng) : zipf_(zipf), rng_(rng) {
        for (auto& chain : chains_) {
            chain.resize(2 + rng.below(4));
            std::generate(
                chain.begin(), chain.end(), [&] { return rng.below(model_sizes().size()); });
        }
        for (Agent& agent : agents_) {
            agent.chain = rng.below(chains_.size());
        }
    }
    std::size_t next() {
        constexpr double kNoise = 0.1;
        if (rng_.chance(kNoise)) {
            return zipf_.draw(rng_);
        }
        Agent& agent = agents_[rng_.below(agents_.size())];
        const auto& chain = chains_[agent.chain];
        const std::size_t model = chain[agent.step];
        if (++agent.step == chain.size()) {
            agent = {.chain = rng_.below(chains_.size())};
        }
        return model;
    }

  private:
    struct Agent {
        std::size_t chain = 0;
        std::size_t step = 0;
    };

    const Zipf& zipf_;
    Rng& rng_;
    std::array<std::vector<std::size_t>, 4> chains_;
    std::array<Agent, 2> agents_;
};

/// Arrival times, since midnight, of lines "2023-11-16 18:17:03.9799600,4808,10".
std::vector<TimePoint> arrivals(const std::filesystem::path& file) {
    std::vector<TimePoint> times;
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
        int hour = 0;
        int minute = 0;
        double second = 0;
        if (std::sscanf(line.c_str(), "%*d-%*d-%*d %d:%d:%lf,", &hour, &minute, &second) == 3) {
            times.emplace_back(std::chrono::milliseconds(
                static_cast<std::int64_t>(((hour * 60 + minute) * 60 + second) * 1e3)));
        }
    }
    return times;
}

}  // namespace

std::vector<Bytes> model_sizes() {
    std::vector<Bytes> sizes;
    for (const int megabytes :
         {500, 700, 1000, 1300, 1900, 2500, 3300, 4400, 4900, 6600, 8500, 10300, 13500}) {
        sizes.emplace_back(std::int64_t{megabytes} * 1'000'000);
    }
    return sizes;
}

Duration load_time(Bytes size) {
    return std::chrono::milliseconds(200) + std::chrono::nanoseconds(size.count());
}

Trace synthetic(Traffic traffic, std::uint64_t seed, std::size_t count) {
    Rng rng(seed);
    const Zipf zipf(numbers(0, model_sizes().size()), rng);
    Sessions sessions(3, 0.05, zipf, rng);
    Chains chains(zipf, rng);
    Trace trace;
    TimePoint now{};
    while (trace.size() < count) {
        now += std::chrono::milliseconds(
            static_cast<std::int64_t>(rng.exponential(kSecondsBetween) * 1e3));
        switch (traffic) {
            case Traffic::zipf:
                trace.push_back({now, zipf.draw(rng)});
                break;
            case Traffic::sessions:
                trace.push_back({now, sessions.next()});
                break;
            case Traffic::chains:
                trace.push_back({now, chains.next()});
                break;
        }
    }
    return trace;
}

std::optional<Trace> azure(const std::filesystem::path& folder, Spread spread, std::uint64_t seed) {
    constexpr std::size_t kEvery = 10;
    const double ends = spread == Spread::zipf ? 1 : 0.02;
    Rng rng(seed);
    // Small and large models in both services.
    std::vector<std::size_t> code;
    std::vector<std::size_t> chat;
    for (std::size_t model = 0; model < model_sizes().size(); ++model) {
        (model % 2 == 1 ? code : chat).push_back(model);
    }
    const Zipf code_zipf(code, rng);
    const Zipf chat_zipf(chat, rng);
    Sessions code_sessions(1, ends, code_zipf, rng);
    Sessions chat_sessions(1, ends, chat_zipf, rng);
    struct Arrival {
        TimePoint at;
        Sessions* service;
    };
    std::vector<Arrival> merged;
    for (const TimePoint at : arrivals(folder / "azure_llm_2023_code.csv")) {
        merged.push_back({at, &code_sessions});
    }
    for (const TimePoint at : arrivals(folder / "azure_llm_2023_conv.csv")) {
        merged.push_back({at, &chat_sessions});
    }
    if (merged.empty()) {
        return std::nullopt;
    }
    std::stable_sort(merged.begin(), merged.end(), [](const Arrival& a, const Arrival& b) {
        return a.at < b.at;
    });
    Trace trace;
    for (std::size_t i = 0; i < merged.size(); i += kEvery) {
        trace.push_back({merged[i].at, merged[i].service->next()});
    }
    return trace;
}

}  // namespace drover::bench
