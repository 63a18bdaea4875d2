// How long a routing decision takes without a model: facts from a request's body, features, task
// and complexity, and the policy. Prints percentiles in microseconds as JSON.
//
//   drover-decide [BYTES=1024] [ROUNDS=20000] [COMPLEXITY.route]

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <time.h>

#include "router/default_predictors.hpp"
#include "router/facts.hpp"
#include "router/policy.hpp"

namespace {

namespace router = drover::router;
using Clock = std::chrono::steady_clock;

/// What this thread has used of its processor: on a busy machine the wall's time is others' too.
double processor_us() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

/// Percentiles as members of a JSON object.
void print_percentiles(const char* name, std::vector<double> times) {
    double sum = 0;
    for (const double one : times) {
        sum += one;
    }
    std::sort(times.begin(), times.end());
    std::printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"mean\": %.1f, \"per_second\": %.0f}",
                name,
                times[times.size() / 2],
                times[times.size() * 99 / 100],
                sum / static_cast<double>(times.size()),
                1e6 * static_cast<double>(times.size()) / sum);
}

/// A prompt of `size` bytes that is another one each time, so that no cache helps more than it
/// would in practice.
std::string prompt_of(std::size_t size, std::size_t round) {
    static constexpr std::string_view kWords[] = {
        "explain", "the",      "function", "returns", "sum",    "of",      "two",   "integers",
        "when",    "triangle", "river",    "history", "python", "history", "apply", "quickly",
        "between", "theorem",  "why",      "market",  "energy", "however", "class", "write"};
    std::string prompt;
    std::size_t state = round * 7919 + 17;
    while (prompt.size() < size) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        prompt += kWords[(state >> 33) % std::size(kWords)];
        prompt += (state >> 60) == 0 ? ". " : " ";
        if ((state >> 58) == 3) {
            prompt += std::to_string(state >> 44);
        }
    }
    prompt.resize(size);
    return prompt;
}

std::size_t number(const char* text, std::size_t otherwise) {
    std::size_t value = otherwise;
    const std::string_view view(text);
    std::from_chars(view.data(), view.data() + view.size(), value);
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t size = argc > 1 ? number(argv[1], 1024) : 1024;
    const std::size_t rounds = argc > 2 ? number(argv[2], 20'000) : 20'000;
    std::string image;
    if (argc > 3) {
        std::ifstream file(argv[3], std::ios::binary);
        image.assign(std::istreambuf_iterator<char>(file), {});
    }
    const auto given = router::Predictor::open(image);
    if (argc > 3 && !given.ok()) {
        std::fprintf(stderr, "%s: %s\n", argv[3], given.error().message.c_str());
        return 1;
    }
    router::Policy policy;
    policy.targets = {"coder", "tutor", "small", "large"};
    // A confidence that is never reached, so that both predictors run every time.
    policy.task = router::PolicyTask{.predictor = &router::default_task_predictor(),
                                     .confidence = 2,
                                     .models = {{0, {0}}, {1, {1}}}};
    policy.complexity = router::PolicyComplexity{
        .predictor = given.ok() ? &*given : &router::default_complexity_predictor(),
        .small = 2,
        .large = 3,
        .threshold = 0.1};
    const std::vector<router::TargetState> states(4, {.usable = true, .hot = true});
    std::vector<router::Featurizer> featurizers;
    std::vector<double> took;
    std::vector<double> used;
    std::size_t large = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
        const std::string body = R"({"model":"auto","messages":[{"role":"user","content":")" +
                                 prompt_of(size, round) + R"("}]})";
        const Clock::time_point began = Clock::now();
        const double began_us = processor_us();
        router::FactsReader reader;
        reader.put(body);
        const router::RequestFacts facts = reader.finish();
        const router::Decision decision =
            router::decide(policy, facts, states, std::nullopt, featurizers);
        used.push_back(processor_us() - began_us);
        took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - began).count());
        large += decision.order.front() == 3 ? 1 : 0;
    }
    std::printf("{\"prompt_bytes\": %zu, \"rounds\": %zu", size, rounds);
    print_percentiles("wall_us", std::move(took));
    print_percentiles("processor_us", std::move(used));
    std::printf(", \"to_large\": %zu}\n", large);
    return 0;
}
