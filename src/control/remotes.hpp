// Models that servers elsewhere have: carries out what upstreams::Balancer decides, keeps the
// connections, asks the servers how they are and what they have. On the loop only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "control/fleet.hpp"
#include "control/remote_group.hpp"
#include "engines/http_call.hpp"
#include "engines/upstream_pool.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"
#include "platform/task_scope.hpp"
#include "upstreams/balancer.hpp"

namespace drover::control {

/// Models of `engine: remote`. Their ids begin where no registry's come.
class Remotes final : public LeaseOwner {
  public:
    Remotes(platform::Loop& loop, std::vector<RemoteGroup> groups);
    /// REQUIRES: stop() has returned, or start() was never called.
    ~Remotes() override;

    /// Whether a name belongs to a model of this machine or to an entry of the configuration, so
    /// that a listed model cannot have it.
    using IsTaken = std::function<bool(std::string_view name)>;

    /// Begins to watch the servers.
    void start(IsTaken is_taken);

    /// Refuses what waits and what comes; returns when nothing is under way any more.
    platform::Task<> stop();

    static bool has(ModelId model) { return model.value >= kFirstId; }

    /// The model with this name or alias, without regard to case. Nullopt: there is none.
    std::optional<ModelId> find(std::string_view name) const;

    const std::string& name(ModelId model) const { return models_.at(model).view.name; }
    /// With its `state`. Null: the server does not list it any more.
    const ModelView* look(ModelId model) const;
    std::vector<ModelView> models() const;
    std::vector<RemoteView> view() const;

    /// As those of Fleet.
    std::optional<Lease> try_acquire(ModelId model, const AcquireOptions& options);
    platform::Task<Result<Lease>> acquire(ModelId model, AcquireOptions options);

  private:
    static constexpr std::uint64_t kFirstId = std::uint64_t{1} << 62;

    struct Replica {
        std::unique_ptr<engines::UpstreamPool> pool;
        std::string failure;  ///< why the circuit is not closed, or the last probe failed
        std::string problem;  ///< what is wrong with its list of models
    };

    struct Group {
        Group(platform::Loop& loop, std::size_t at, RemoteGroup group);

        std::size_t index;
        RemoteGroup settings;
        upstreams::Balancer balancer;
        std::vector<Replica> replicas;
        platform::Timer timer;
        std::size_t known = 0;  ///< models, listed still or not
        std::string complaint;  ///< what is wrong with the listed names
    };

    struct Model {
        Group* group;
        ModelView view;
        RemoteTerms terms;
        bool listed = true;  ///< still
    };

    struct Running {
        Group* group;
        upstreams::Replica replica;
        upstreams::Report report;
    };

    /// A request without an answer; one that ends unanswered gives up its place in the queue.
    class Waiter {
      public:
        Waiter(Remotes& remotes, const Model& model);
        ~Waiter();
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

        RequestId request() const { return request_; }
        const Model& model() const { return model_; }
        platform::Notifier& decided() { return decided_; }
        std::optional<Result<Lease>>& outcome() { return outcome_; }

      private:
        Remotes& remotes_;
        const Model& model_;
        RequestId request_;
        platform::Notifier decided_;
        std::optional<Result<Lease>> outcome_;
    };

    void end_lease(RequestId request) override;
    void report(RequestId request, const upstreams::Report& report) override;
    bool may_recall(InstanceId) const override { return false; }
    platform::Task<> recall(InstanceId, std::string_view, std::string_view) override;
    void report_hung(InstanceId, std::string) override {}
    std::string last_words(InstanceId) const override { return {}; }
    platform::Task<std::optional<Error>> failure(InstanceId instance) override;

    static InstanceId instance_of(const Group& group, upstreams::Replica replica);
    static upstreams::Ask ask_of(RequestId request,
                                 const Group& group,
                                 const AcquireOptions& options);
    std::optional<Error> objection(const Model& model, const AcquireOptions& options) const;
    void add_model(Group& group, ModelView view, RemoteTerms terms);
    void carry_out(Group& group, const upstreams::Effects& effects);
    void carry_out(Group& group, const upstreams::Grant& grant);
    void carry_out(Group& group, const upstreams::Refuse& refuse);
    void carry_out(Group& group, const upstreams::Probe& probe);
    void carry_out(Group& group, const upstreams::Turned& turned);
    Error refusal(const Model& model, const upstreams::Refuse& refuse) const;
    void arm(Group& group);
    platform::Task<> probe(Group& group, upstreams::Replica replica);
    static std::string why_dead(const Result<engines::HttpAnswer>& answer);
    void take_list(Group& group, Replica& replica, const engines::HttpAnswer& answer);
    void replace_listed(Group& group, const std::vector<std::string>& names);

    platform::Loop& loop_;
    std::vector<std::unique_ptr<Group>> groups_;
    std::map<ModelId, Model> models_;
    std::unordered_map<std::string, ModelId> names_;  ///< in lower case, aliases too
    std::unordered_map<RequestId, Waiter*> waiting_;
    std::unordered_map<RequestId, Running> running_;
    IsTaken is_taken_;
    std::uint64_t last_model_ = kFirstId;
    RequestId last_request_{};
    bool stopping_ = false;
    platform::TaskScope tasks_;
};

}  // namespace drover::control
