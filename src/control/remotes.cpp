#include "control/remotes.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "control/durations.hpp"
#include "control/model_list.hpp"
#include "control/stopping.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;
using platform::now;
using platform::Task;
using upstreams::CircuitState;

namespace {

constexpr unsigned kUnauthorized = 401;
constexpr unsigned kForbidden = 403;
constexpr unsigned kServerErrors = 500;
constexpr unsigned kOk = 200;

/// Names that a complaint quotes.
constexpr std::size_t kNamesShown = 5;

/// Names that an entry takes from its servers' lists, as long as Drover runs: one that was listed
/// stays known, for requests may have it. Twice what one list can have.
constexpr std::size_t kListedMax = 4'000;

/// Replicas of one group have ids in a row.
constexpr std::uint64_t kReplicasMax = 1 << 16;

std::string_view to_string(CircuitState state) {
    switch (state) {
        case CircuitState::closed:
            return "closed";
        case CircuitState::open:
            return "open";
        case CircuitState::half_open:
            return "half open";
    }
    DROVER_UNREACHABLE();
}

std::string enumerate(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i) {
        text += (i == 0 ? "" : ", ") + names[i];
    }
    return text + (names.size() > kNamesShown ? ", ..." : "");
}

}  // namespace

// ---- groups and models ----

Remotes::Group::Group(platform::Loop& loop, std::size_t at, RemoteGroup group)
    : index(at),
      settings(std::move(group)),
      balancer(settings.balancer, settings.replicas.size()),
      timer(loop) {
    for (const engines::Endpoint& endpoint : settings.replicas) {
        replicas.push_back(
            {std::make_unique<engines::UpstreamPool>(loop, endpoint, settings.connections),
             {},
             {}});
    }
}

Remotes::Remotes(platform::Loop& loop, std::vector<RemoteGroup> groups)
    : loop_(loop), tasks_(loop) {
    for (RemoteGroup& settings : groups) {
        groups_.push_back(std::make_unique<Group>(loop, groups_.size(), std::move(settings)));
        Group& group = *groups_.back();
        if (!group.settings.lists) {
            add_model(group, group.settings.view, group.settings.terms);
        }
    }
}

Remotes::~Remotes() = default;

void Remotes::start(IsTaken is_taken) {
    is_taken_ = std::move(is_taken);
    for (const auto& group : groups_) {
        carry_out(*group, group->balancer.tick(now()));
    }
}

Task<> Remotes::stop() {
    stopping_ = true;
    for (const auto& [request, waiter] : waiting_) {
        if (!waiter->outcome().has_value()) {
            Group& group = *waiter->model().group;
            group.balancer.cancel(request, now());
            waiter->outcome().emplace(server_stopping());
            waiter->decided().notify_all();
        }
    }
    for (const auto& group : groups_) {
        group->timer.cancel();
    }
    tasks_.cancel();
    co_await tasks_.join();
}

void Remotes::add_model(Group& group, ModelView view, RemoteTerms terms) {
    const ModelId id{++last_model_};
    ++group.known;
    names_.emplace(to_lower(view.name), id);
    for (const std::string& alias : view.aliases) {
        names_.emplace(to_lower(alias), id);
    }
    models_.emplace(id, Model{.group = &group, .view = std::move(view), .terms = std::move(terms)});
}

std::optional<ModelId> Remotes::find(std::string_view name) const {
    const auto found = names_.find(to_lower(name));
    return found != names_.end() && models_.at(found->second).listed ? std::optional(found->second)
                                                                     : std::nullopt;
}

const ModelView* Remotes::look(ModelId model) const {
    const auto found = models_.find(model);
    return found == models_.end() || !found->second.listed ? nullptr : &found->second.view;
}

std::vector<ModelView> Remotes::models() const {
    std::vector<ModelView> views;
    for (const auto& [id, model] : models_) {
        if (model.listed) {
            views.push_back(model.view);
        }
    }
    return views;
}

std::vector<RemoteView> Remotes::view() const {
    std::vector<RemoteView> views;
    const TimePoint time = now();
    for (const auto& group : groups_) {
        for (upstreams::Replica one = 0; one < group->replicas.size(); ++one) {
            const upstreams::ReplicaView state = group->balancer.view(one);
            const Replica& replica = group->replicas[one];
            std::optional<std::int64_t> retry_ms;
            if (state.half_opens_at.has_value()) {
                retry_ms = std::max<std::int64_t>(milliseconds_of(*state.half_opens_at - time), 0);
            }
            std::string problem = replica.failure;
            for (const std::string& more : {replica.problem, group->complaint}) {
                problem += (problem.empty() || more.empty() ? "" : "; ") + more;
            }
            views.push_back({.model = group->settings.view.name,
                             .url = replica.pool->endpoint().text(),
                             .state = std::string(to_string(state.state)),
                             .leases = state.leases,
                             .queued = static_cast<std::uint32_t>(group->balancer.waiting()),
                             .failures = state.failures_in_a_row,
                             .retry_ms = retry_ms,
                             .first_byte_ms = milliseconds_of(state.first_byte),
                             .problem = std::move(problem)});
        }
    }
    return views;
}

// ---- leases ----

Remotes::Waiter::Waiter(Remotes& remotes, const Model& model)
    : remotes_(remotes),
      model_(model),
      request_{++remotes.last_request_.value},
      decided_(remotes.loop_) {
    remotes_.waiting_.emplace(request_, this);
}

Remotes::Waiter::~Waiter() {
    remotes_.waiting_.erase(request_);
    if (!outcome_.has_value()) {
        Group& group = *model_.group;
        remotes_.carry_out(group, group.balancer.cancel(request_, now()));
    }
}

InstanceId Remotes::instance_of(const Group& group, upstreams::Replica replica) {
    return InstanceId{kFirstId + group.index * kReplicasMax + replica};
}

upstreams::Ask Remotes::ask_of(RequestId request,
                               const Group& group,
                               const AcquireOptions& options) {
    upstreams::Ask ask{.request = request, .affinity = options.affinity};
    for (upstreams::Replica one = 0; one < group.replicas.size(); ++one) {
        if (std::find(options.tried.begin(), options.tried.end(), instance_of(group, one)) !=
            options.tried.end()) {
            ask.tried.push_back(one);
        }
    }
    return ask;
}

std::optional<Error> Remotes::objection(const Model& model, const AcquireOptions& options) const {
    if (options.local_only) {
        return Error{ErrorCode::invalid_argument,
                     "model '" + model.view.name +
                         "' is remote, and this request must not leave the machine (local_only)"};
    }
    if (stopping_) {
        return server_stopping();
    }
    if (!model.listed) {
        return Error{ErrorCode::not_found,
                     "its server does not list model '" + model.view.name + "' any more"};
    }
    return std::nullopt;
}

std::optional<Lease> Remotes::try_acquire(ModelId id, const AcquireOptions& options) {
    const Model& model = models_.at(id);
    if (objection(model, options).has_value()) {
        return std::nullopt;
    }
    Waiter waiter(*this, model);
    Group& group = *model.group;
    carry_out(group, group.balancer.arrive(ask_of(waiter.request(), group, options), now()));
    if (!waiter.outcome().has_value() || !waiter.outcome()->ok()) {
        return std::nullopt;
    }
    return std::move(**waiter.outcome());
}

Task<Result<Lease>> Remotes::acquire(ModelId id, AcquireOptions options) {
    const Model& model = models_.at(id);
    if (auto objected = objection(model, options); objected.has_value()) {
        co_return *std::move(objected);
    }
    const TimePoint deadline = now() + options.queue_timeout;
    Waiter waiter(*this, model);
    Group& group = *model.group;
    carry_out(group, group.balancer.arrive(ask_of(waiter.request(), group, options), now()));
    while (!waiter.outcome().has_value()) {
        if (now() >= deadline) {
            co_return Error{ErrorCode::timeout,
                            "the servers of model '" + model.view.name + "' were busy for " +
                                drover::to_string(options.queue_timeout) +
                                "; try again later, or raise limits.queue_timeout",
                            kRetryAfterTimeout};
        }
        co_await waiter.decided().wait_until(deadline);
    }
    co_return std::move(*waiter.outcome());
}

void Remotes::report(RequestId request, const upstreams::Report& report) {
    running_.at(request).report = report;
}

void Remotes::end_lease(RequestId request) {
    const auto found = running_.find(request);
    DROVER_ASSERT(found != running_.end());
    const Running ended = std::move(found->second);
    running_.erase(found);
    Replica& replica = ended.group->replicas[ended.replica];
    if (ended.report.outcome == upstreams::Outcome::failed) {
        replica.failure = ended.report.cause;
    } else if (ended.report.outcome == upstreams::Outcome::served) {
        replica.failure.clear();
    }
    carry_out(*ended.group, ended.group->balancer.end(request, ended.report, now()));
}

Task<> Remotes::recall(InstanceId, std::string_view, std::string_view) {
    co_return;
}

Task<std::optional<Error>> Remotes::failure(InstanceId) {
    co_return std::nullopt;
}

// ---- effects ----

void Remotes::carry_out(Group& group, const upstreams::Effects& effects) {
    for (const upstreams::Effect& effect : effects) {
        std::visit([&](const auto& one) { carry_out(group, one); }, effect);
    }
    arm(group);
}

void Remotes::arm(Group& group) {
    const auto deadline = group.balancer.next_deadline();
    if (stopping_ || !deadline.has_value() || group.timer.expiry() == *deadline) {
        return;
    }
    group.timer.expires_at(*deadline);  // cancels the earlier wait
    group.timer.async_wait([this, &group](const boost::system::error_code& error) {
        if (!error) {
            group.timer.expires_at(TimePoint());
            carry_out(group, group.balancer.tick(now()));
        }
    });
}

void Remotes::carry_out(Group& group, const upstreams::Grant& grant) {
    const auto waiter = waiting_.find(grant.request);
    DROVER_ASSERT(waiter != waiting_.end());
    running_.emplace(grant.request, Running{&group, grant.replica, {}});
    waiter->second->outcome().emplace(Lease(*this,
                                            grant.request,
                                            instance_of(group, grant.replica),
                                            *group.replicas[grant.replica].pool,
                                            &waiter->second->model().terms,
                                            grant.others));
    waiter->second->decided().notify_all();
}

void Remotes::carry_out(Group&, const upstreams::Refuse& refuse) {
    const auto waiter = waiting_.find(refuse.request);
    DROVER_ASSERT(waiter != waiting_.end());
    waiter->second->outcome().emplace(refusal(waiter->second->model(), refuse));
    waiter->second->decided().notify_all();
}

void Remotes::carry_out(Group& group, const upstreams::Probe& effect) {
    if (!stopping_) {
        tasks_.spawn("remotes.probe",
                     [this, &group, replica = effect.replica] { return probe(group, replica); });
    }
}

void Remotes::carry_out(Group& group, const upstreams::Turned& turned) {
    Replica& replica = group.replicas[turned.replica];
    if (turned.state == CircuitState::closed) {
        replica.failure.clear();
    }
    const bool open = turned.state == CircuitState::open;
    const log::Fields fields{{"model", group.settings.view.name},
                             {"url", replica.pool->endpoint().text()},
                             {"circuit", to_string(turned.state)},
                             {"outlier", turned.outlier},
                             {"cause", replica.failure}};
    if (open) {
        replica.pool->close_idle();
        log::warn("remote.circuit", fields);
    } else {
        log::info("remote.circuit", fields);
    }
    const std::string_view state = group.balancer.available(now()) ? "remote" : "down";
    for (auto& [id, model] : models_) {
        if (model.group == &group) {
            model.view.state = state;
        }
    }
}

Error Remotes::refusal(const Model& model, const upstreams::Refuse& refuse) const {
    std::optional<std::chrono::seconds> retry_after;
    if (refuse.retry_after.has_value()) {
        retry_after = whole_seconds(*refuse.retry_after);
    }
    const std::string name = "model '" + model.view.name + "'";
    switch (refuse.reason) {
        case upstreams::RefuseReason::queue_full:
            return {ErrorCode::overloaded,
                    name +
                        " has as many requests waiting as its limit allows (queue); try again "
                        "later",
                    retry_after};
        case upstreams::RefuseReason::all_resting:
            return {ErrorCode::overloaded,
                    "the server of " + name + " asks to be left alone for a while",
                    retry_after};
        case upstreams::RefuseReason::all_open: {
            std::string causes;
            for (const Replica& replica : model.group->replicas) {
                if (!replica.failure.empty()) {
                    causes += (causes.empty() ? ": " : "; ") + replica.failure;
                }
            }
            return {ErrorCode::unavailable,
                    "no server of " + name + " works at present" + causes,
                    retry_after};
        }
    }
    DROVER_UNREACHABLE();
}

// ---- health ----

std::string Remotes::why_dead(const Result<engines::HttpAnswer>& answer) {
    if (!answer.ok()) {
        return answer.error().message;
    }
    return answer->status >= kServerErrors
               ? "its health check was answered with " + std::to_string(answer->status)
               : "";
}

Task<> Remotes::probe(Group& group, upstreams::Replica at) {
    Replica& replica = group.replicas[at];
    engines::HttpQuestion question{.path = "/v1/models"};
    const auto answer = co_await engines::http_call(
        loop_, replica.pool->endpoint(), std::move(question), now() + group.settings.probe_timeout);
    const std::string dead = why_dead(answer);
    if (!dead.empty()) {
        replica.failure = dead;
    } else {
        take_list(group, replica, *answer);
    }
    carry_out(group, group.balancer.probed(at, dead.empty(), now()));
}

void Remotes::take_list(Group& group, Replica& replica, const engines::HttpAnswer& answer) {
    const std::string before = std::exchange(replica.problem, {});
    const std::string& wanted = group.settings.terms.served_name;
    const auto names = answer.status == kOk ? parse_model_list(answer.body)
                                            : Result<std::vector<std::string>>(Error{});
    if (answer.status == kUnauthorized || answer.status == kForbidden) {
        replica.problem = "it refuses the key (" + std::to_string(answer.status) + ")";
    } else if (names.ok() && group.settings.lists) {
        replace_listed(group, without_echoes(*names, group.settings.view.name + "/"));
    } else if (names.ok() && std::find(names->begin(), names->end(), wanted) == names->end()) {
        replica.problem = "it does not list model '" + wanted + "'; it has " + enumerate(*names);
    } else if (!names.ok() && group.settings.lists) {
        replica.problem = "it does not say which models it has";
    }
    if (!replica.problem.empty() && replica.problem != before) {
        log::warn("remote.problem",
                  {{"model", group.settings.view.name},
                   {"url", replica.pool->endpoint().text()},
                   {"problem", replica.problem}});
    }
}

void Remotes::replace_listed(Group& group, const std::vector<std::string>& names) {
    const std::string prefix = group.settings.view.name + "/";
    std::vector<std::string> clashes;
    for (auto& [id, model] : models_) {
        if (model.group == &group) {
            model.listed =
                std::find(names.begin(), names.end(), model.terms.served_name) != names.end();
        }
    }
    for (const std::string& name : names) {
        const auto known = names_.find(to_lower(prefix + name));
        const auto plain = names_.find(to_lower(name));
        const bool ours =
            known != names_.end() && plain != names_.end() && plain->second == known->second;
        const bool clash = is_taken_(name) || (plain != names_.end() && !ours);
        if (clash) {
            clashes.push_back(name);
        }
        if (known != names_.end() || group.known == kListedMax) {
            continue;
        }
        ModelView view = group.settings.view;
        view.name = clash ? prefix + name : name;
        view.aliases.clear();
        if (!clash) {
            view.aliases.push_back(prefix + name);
        }
        view.task = task_of_name(name);
        RemoteTerms terms = group.settings.terms;
        terms.served_name = name;
        log::info("model.appeared", {{"model", view.name}, {"remote", group.settings.view.name}});
        add_model(group, std::move(view), std::move(terms));
    }
    std::string complaint = clashes.empty()
                                ? ""
                                : "others have these names already, so here they begin with " +
                                      prefix + ": " + enumerate(clashes);
    if (group.known == kListedMax) {
        complaint += (complaint.empty() ? "" : "; ") + std::string("it has listed ") +
                     std::to_string(kListedMax) + " names by now, and gets no others";
    }
    if (!complaint.empty() && complaint != group.complaint) {
        log::warn("models.problem", {{"model", group.settings.view.name}, {"problem", complaint}});
    }
    group.complaint = std::move(complaint);
}

}  // namespace drover::control
