// Thousands of seeded histories of servers that die, come back, refuse and slow down: what must
// hold after every event.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "upstreams/balancer.hpp"

namespace drover::upstreams {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSeeds = 500;
constexpr int kEvents = 150;

/// Servers that behave as a seed says, and the clients that ask them.
class History {
  public:
    explicit History(std::uint64_t seed)
        : rng_(seed),
          options_{.circuit = {.failures = static_cast<std::uint32_t>(rng_.between(1, 5))},
                   .concurrency = static_cast<std::uint32_t>(rng_.between(1, 4)),
                   .queue = static_cast<std::uint32_t>(rng_.between(0, 6))},
          alive_(static_cast<std::size_t>(rng_.between(1, 4)), true),
          balancer_(options_, alive_.size()) {}

    void run() {
        carry_out(balancer_.tick(now_));
        for (int i = 0; i < kEvents; ++i) {
            step();
            check();
        }
        recover();
    }

  private:
    void step() {
        pass(milliseconds(rng_.between(0, 3'000)));
        switch (rng_.below(8)) {
            case 0:
            case 1:
            case 2:
                return arrive();
            case 3:
            case 4:
                return end_some();
            case 5:
                return cancel_some();
            case 6:
                return answer_some_probe();
            case 7:
                alive_[rng_.below(alive_.size())] = rng_.chance(0.6);
        }
    }

    /// Every deadline on the way is kept, as control does.
    void pass(Duration time) {
        const TimePoint until = now_ + time;
        for (int i = 0;; ++i) {
            ASSERT_LT(i, 1'000) << "a deadline that never passes";
            const auto next = balancer_.next_deadline();
            if (!next.has_value() || *next > until) {
                break;
            }
            now_ = std::max(now_, *next);
            carry_out(balancer_.tick(now_));
        }
        now_ = until;
    }

    void arrive() {
        const RequestId request{++last_};
        Ask ask{.request = request, .affinity = rng_.below(5)};
        for (Replica one = 0; one < alive_.size(); ++one) {
            if (rng_.chance(0.1)) {
                ask.tried.push_back(one);
            }
        }
        open_.emplace(request, ask);
        carry_out(balancer_.arrive(ask, now_));
    }

    void end_some() {
        if (granted_.empty()) {
            return;
        }
        const auto one =
            std::next(granted_.begin(), static_cast<std::ptrdiff_t>(rng_.below(granted_.size())));
        const auto [request, grant] = *one;
        granted_.erase(one);
        Report report{.outcome = alive_[grant.replica] ? Outcome::served : Outcome::failed,
                      .first_byte = milliseconds(rng_.between(1, 500))};
        if (rng_.chance(0.1)) {
            report.outcome = rng_.chance(0.5) ? Outcome::unknown : Outcome::pushed_back;
            report.rest = seconds(rng_.between(0, 20));
        }
        carry_out(balancer_.end(request, report, now_));
    }

    void cancel_some() {
        if (!open_.empty()) {
            const RequestId request = open_.begin()->first;
            open_.erase(open_.begin());
            carry_out(balancer_.cancel(request, now_));
        }
    }

    void answer_some_probe() {
        if (!probes_.empty()) {
            const Replica replica = *probes_.begin();
            probes_.erase(probes_.begin());
            carry_out(balancer_.probed(replica, alive_[replica], now_));
        }
    }

    void carry_out(const Effects& effects) {
        for (const Effect& effect : effects) {
            if (const auto* grant = std::get_if<Grant>(&effect)) {
                take(*grant);
            } else if (const auto* refuse = std::get_if<Refuse>(&effect)) {
                take(*refuse);
            } else if (const auto* probe = std::get_if<Probe>(&effect)) {
                EXPECT_TRUE(probes_.insert(probe->replica).second) << "two probes at once";
            }
        }
    }

    void take(const Grant& grant) {
        const auto ask = open_.find(grant.request);
        ASSERT_NE(ask, open_.end()) << "an answer to nobody";
        const auto& tried = ask->second.tried;
        EXPECT_EQ(std::count(tried.begin(), tried.end(), grant.replica), 0);
        EXPECT_EQ(balancer_.view(grant.replica).state, CircuitState::closed);
        granted_.emplace(grant.request, grant);
        open_.erase(ask);
    }

    void take(const Refuse& refuse) {
        ASSERT_EQ(open_.erase(refuse.request), 1U) << "an answer to nobody";
    }

    void check() {
        balancer_.check_invariants(now_);
        EXPECT_EQ(balancer_.waiting(), open_.size());
        std::vector<std::uint32_t> leases(alive_.size());
        for (const auto& [request, grant] : granted_) {
            ++leases[grant.replica];
        }
        for (Replica one = 0; one < alive_.size(); ++one) {
            const ReplicaView view = balancer_.view(one);
            EXPECT_EQ(view.leases, leases[one]);
            EXPECT_LE(view.leases, options_.concurrency);
            if (view.state == CircuitState::closed) {
                EXPECT_LT(view.failures_in_a_row, options_.circuit.failures);
            } else if (view.state == CircuitState::open) {
                EXPECT_LE(*view.half_opens_at, now_ + options_.circuit.open_max);
            }
        }
    }

    /// Whatever happened: with healthy servers everything is served again, by itself.
    void recover() {
        std::fill(alive_.begin(), alive_.end(), true);
        const TimePoint deadline = now_ + options_.circuit.open_max + options_.rest_max;
        while (now_ < deadline) {
            while (!probes_.empty()) {
                answer_some_probe();
            }
            while (!granted_.empty()) {
                end_some();
            }
            pass(seconds(1));
        }
        while (!granted_.empty() || !probes_.empty()) {
            end_some();
            answer_some_probe();
        }
        check();
        EXPECT_TRUE(open_.empty());
        EXPECT_TRUE(balancer_.available(now_ + options_.rest_max));
    }

    Rng rng_;
    BalancerOptions options_;
    std::vector<bool> alive_;
    Balancer balancer_;
    TimePoint now_{seconds(1'000)};
    std::uint64_t last_ = 0;
    std::map<RequestId, Ask> open_;  ///< not answered yet
    std::map<RequestId, Grant> granted_;
    std::set<Replica> probes_;
};

TEST(BalancerRandom, KeepsItsPromisesInEveryHistory) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        History(seed).run();
        if (testing::Test::HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace drover::upstreams
