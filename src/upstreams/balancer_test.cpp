#include "upstreams/balancer.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::upstreams {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

/// Some replicas, all alive, and what the balancer says of each request.
class BalancerTest : public testing::Test {
  protected:
    void make(std::size_t replicas, BalancerOptions options = {}) {
        balancer_.emplace(options, replicas);
        carry_out(balancer_->tick(now_));
    }

    /// Probes are answered at once, as `alive_` says.
    void carry_out(const Effects& effects) {
        for (const Effect& effect : effects) {
            if (const auto* grant = std::get_if<Grant>(&effect)) {
                granted_[grant->request] = *grant;
            } else if (const auto* refuse = std::get_if<Refuse>(&effect)) {
                refused_[refuse->request] = *refuse;
            } else if (const auto* turn = std::get_if<Turned>(&effect)) {
                turns_.push_back(*turn);
            } else if (const auto* probe = std::get_if<Probe>(&effect)) {
                ++probes_;
                carry_out(balancer_->probed(probe->replica, alive_, now_));
            }
        }
    }

    RequestId ask(std::uint64_t affinity = 0, std::vector<Replica> tried = {}) {
        const RequestId request{++last_};
        carry_out(balancer_->arrive({request, affinity, std::move(tried)}, now_));
        return request;
    }

    void end(RequestId request, Outcome outcome, std::optional<Duration> rest = {}) {
        carry_out(balancer_->end(request, {.outcome = outcome, .rest = rest}, now_));
    }

    void fail_in_a_row(int times) {
        for (int i = 0; i < times; ++i) {
            end(ask(), Outcome::failed);
        }
    }

    void pass(Duration time) {
        now_ += time;
        carry_out(balancer_->tick(now_));
    }

    std::optional<Replica> replica_of(RequestId request) const {
        const auto found = granted_.find(request);
        return found == granted_.end() ? std::nullopt : std::optional(found->second.replica);
    }

    std::optional<Balancer> balancer_;
    TimePoint now_{seconds(1'000)};
    bool alive_ = true;
    int probes_ = 0;
    std::uint64_t last_ = 0;
    std::map<RequestId, Grant> granted_;
    std::map<RequestId, Refuse> refused_;
    std::vector<Turned> turns_;
};

TEST_F(BalancerTest, SendsEachRequestToTheReplicaWithTheFewest) {
    make(3);
    std::map<Replica, int> counts;
    for (int i = 0; i < 9; ++i) {
        ++counts[*replica_of(ask())];
    }
    EXPECT_EQ(counts, (std::map<Replica, int>{{0, 3}, {1, 3}, {2, 3}}));
}

TEST_F(BalancerTest, RequestsBeyondTheConcurrencyWaitInOrder) {
    make(1, {.concurrency = 2});
    const RequestId first = ask();
    ask();
    const RequestId third = ask();
    const RequestId fourth = ask();
    EXPECT_EQ(balancer_->waiting(), 2U);
    end(first, Outcome::served);
    EXPECT_TRUE(replica_of(third).has_value());
    EXPECT_FALSE(replica_of(fourth).has_value());
}

TEST_F(BalancerTest, AFullQueueRefuses) {
    make(1, {.concurrency = 1, .queue = 1});
    ask();
    ask();
    const RequestId third = ask();
    EXPECT_EQ(refused_.at(third).reason, RefuseReason::queue_full);
}

TEST_F(BalancerTest, ACancelledRequestIsNeverGranted) {
    make(1, {.concurrency = 1});
    const RequestId first = ask();
    const RequestId second = ask();
    carry_out(balancer_->cancel(second, now_));
    end(first, Outcome::served);
    EXPECT_FALSE(replica_of(second).has_value());
}

TEST_F(BalancerTest, AConversationStaysWithItsReplica) {
    make(4);
    std::map<std::uint64_t, Replica> homes;
    for (int round = 0; round < 5; ++round) {
        for (std::uint64_t key = 1; key <= 40; ++key) {
            const RequestId request = ask(key * 7919);
            const auto [home, fresh] = homes.emplace(key, *replica_of(request));
            EXPECT_EQ(home->second, *replica_of(request));
            end(request, Outcome::served);
        }
    }
    std::map<Replica, int> counts;
    for (const auto& [key, home] : homes) {
        ++counts[home];
    }
    EXPECT_THAT(counts, SizeIs(4));  // and they are spread
}

TEST_F(BalancerTest, AffinityYieldsToLoad) {
    make(2);
    std::map<Replica, int> counts;
    for (int i = 0; i < 20; ++i) {
        ++counts[*replica_of(ask(12345))];
    }
    EXPECT_GE(counts[0], 7);
    EXPECT_GE(counts[1], 7);
}

TEST_F(BalancerTest, AReplicaThatLeavesMovesOnlyItsOwnConversations) {
    make(3, {.circuit = {.failures = 1}});
    std::map<std::uint64_t, Replica> homes;
    for (std::uint64_t key = 1; key <= 30; ++key) {
        const RequestId request = ask(key * 104729);
        homes[key] = *replica_of(request);
        end(request, Outcome::served);
    }
    alive_ = false;
    const RequestId last = ask(104729);
    const Replica gone = *replica_of(last);
    end(last, Outcome::failed);
    for (const auto& [key, home] : homes) {
        const RequestId request = ask(key * 104729);
        if (home != gone) {
            EXPECT_EQ(*replica_of(request), home);
        } else {
            EXPECT_NE(*replica_of(request), gone);
        }
        end(request, Outcome::served);
    }
}

TEST_F(BalancerTest, AnOpenCircuitRefusesAtOnceAndSaysUntilWhen) {
    make(1, {.circuit = {.failures = 3}});
    fail_in_a_row(3);
    pass(seconds(1));
    const RequestId refused = ask();
    EXPECT_EQ(refused_.at(refused).reason, RefuseReason::all_open);
    EXPECT_EQ(refused_.at(refused).retry_after, seconds(4));
}

TEST_F(BalancerTest, ACircuitThatOpensRefusesThoseWhoWait) {
    make(1, {.circuit = {.failures = 1}, .concurrency = 1});
    const RequestId first = ask();
    const RequestId second = ask();
    end(first, Outcome::failed);
    EXPECT_EQ(refused_.at(second).reason, RefuseReason::all_open);
    EXPECT_EQ(balancer_->waiting(), 0U);
}

TEST_F(BalancerTest, ClosesWithoutAnyRequest) {
    make(1, {.circuit = {.failures = 3}});
    fail_in_a_row(3);
    ASSERT_EQ(balancer_->next_deadline(), now_ + seconds(5));
    pass(seconds(5));
    EXPECT_EQ(balancer_->view(0).state, CircuitState::closed);
    EXPECT_THAT(turns_, SizeIs(3));  // open, half open, closed
    EXPECT_TRUE(replica_of(ask()).has_value());
}

TEST_F(BalancerTest, AFailedRequestMayTryTheOthersOnly) {
    make(2);
    const RequestId first = ask();
    const Replica tried = *replica_of(first);
    EXPECT_EQ(granted_.at(first).others, 1U);
    end(first, Outcome::failed);
    const RequestId again = ask(0, {tried});
    EXPECT_NE(*replica_of(again), tried);
    EXPECT_EQ(granted_.at(again).others, 0U);
    end(again, Outcome::failed);
    const RequestId nowhere = ask(0, {0, 1});
    EXPECT_TRUE(refused_.contains(nowhere));
}

TEST_F(BalancerTest, AServerThatAsksForRestGetsIt) {
    make(2);
    const RequestId first = ask();
    const Replica tired = *replica_of(first);
    end(first, Outcome::pushed_back, seconds(10));
    for (int i = 0; i < 5; ++i) {
        EXPECT_NE(*replica_of(ask()), tired);
    }
    pass(seconds(10));
    EXPECT_EQ(*replica_of(ask()), tired);
    EXPECT_EQ(balancer_->view(tired).state, CircuitState::closed);
}

TEST_F(BalancerTest, WhenAllRestThatIsWhatTheClientHears) {
    make(1);
    end(ask(), Outcome::pushed_back, seconds(7));
    const RequestId refused = ask();
    EXPECT_EQ(refused_.at(refused).reason, RefuseReason::all_resting);
    EXPECT_EQ(refused_.at(refused).retry_after, seconds(7));
}

TEST_F(BalancerTest, ARestIsBounded) {
    make(1, {.rest_max = seconds(60)});
    end(ask(), Outcome::pushed_back, std::chrono::hours(24));
    pass(seconds(60));
    EXPECT_TRUE(replica_of(ask()).has_value());
}

TEST_F(BalancerTest, TheReplicaThatFailsEveryOtherRequestIsEjected) {
    make(2, {.circuit = {.failures = 1'000}});
    alive_ = false;
    int failed = 0;
    for (int i = 0; i < 200; ++i) {
        const RequestId request = ask();
        const bool fails = *replica_of(request) == 0 && ++failed % 2 == 0;
        end(request, fails ? Outcome::failed : Outcome::served);
    }
    EXPECT_EQ(balancer_->view(0).state, CircuitState::open);
    ASSERT_THAT(turns_, SizeIs(1));
    EXPECT_TRUE(turns_[0].outlier);
    EXPECT_LE(failed, 12);
}

TEST_F(BalancerTest, TheClientsFaultIsNobodysFailure) {
    make(1, {.circuit = {.failures = 1}});
    end(ask(), Outcome::unknown);
    EXPECT_THAT(turns_, IsEmpty());
}

TEST_F(BalancerTest, ProbesFindADeadReplicaBeforeAnyClientDoes) {
    make(1, {.circuit = {.failures = 2}, .probe_every = seconds(30)});
    EXPECT_EQ(probes_, 1);
    alive_ = false;
    pass(seconds(30));
    EXPECT_EQ(balancer_->view(0).state, CircuitState::closed);
    pass(seconds(30));
    EXPECT_EQ(balancer_->view(0).state, CircuitState::open);
}

}  // namespace
}  // namespace drover::upstreams
