#include "processor.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace drover::sim {

namespace {

double nanoseconds(Duration duration) {
    return std::chrono::duration<double, std::nano>(duration).count();
}

/// Less than this is left over by rounding only.
constexpr double kDone = 0.5;

}  // namespace

Processor::Job Processor::run(Duration work, std::function<void()> done) {
    const Job job = ++last_;
    if (cores_ == 0) {
        running_.emplace(job, Running{0, std::move(done)});
        agenda_.after(work, [this, job] {
            if (auto ended = running_.extract(job)) {
                ended.mapped().done();
            }
        });
        return job;
    }
    advance();
    running_.emplace(job, Running{nanoseconds(work), std::move(done)});
    schedule();
    return job;
}

void Processor::drop(Job job) {
    if (cores_ == 0) {
        running_.erase(job);
        return;
    }
    advance();
    running_.erase(job);
    schedule();
}

double Processor::speed() const {
    return std::min(1.0, static_cast<double>(cores_) / static_cast<double>(running_.size()));
}

void Processor::advance() {
    const double passed = nanoseconds(agenda_.now() - advanced_to_);
    advanced_to_ = agenda_.now();
    for (auto& [job, running] : running_) {
        running.left -= passed * speed();
    }
}

/// Wakes when the shortest job ends, unless something changes before.
void Processor::schedule() {
    ++generation_;
    if (running_.empty()) {
        return;
    }
    const auto shortest =
        std::min_element(running_.begin(), running_.end(), [](const auto& a, const auto& b) {
            return a.second.left < b.second.left;
        });
    const double wait = std::max(std::ceil(shortest->second.left / speed()), 0.0);
    agenda_.after(std::chrono::nanoseconds(static_cast<std::int64_t>(wait)),
                  [this, generation = generation_] {
                      if (generation == generation_) {
                          finish();
                      }
                  });
}

void Processor::finish() {
    advance();
    std::vector<std::function<void()>> done;
    for (auto job = running_.begin(); job != running_.end();) {
        if (job->second.left < kDone) {
            done.push_back(std::move(job->second.done));
            job = running_.erase(job);
        } else {
            ++job;
        }
    }
    schedule();
    for (const auto& one : done) {
        one();
    }
}

}  // namespace drover::sim
