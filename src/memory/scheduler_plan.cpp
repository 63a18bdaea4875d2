// The planning half of the scheduler: which waiting model loads, and who leaves for it.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "memory/scheduler.hpp"

namespace drover::memory {

namespace {

/// Models that cannot start yet that one pass looks at: for instances that must retire for them,
/// and beyond them for models that are small enough to overtake. Bounds the cost of an event
/// however many models wait.
constexpr std::size_t kLookAhead = 32;

}  // namespace

void Scheduler::plan() {
    shrink();
    PlanningPass pass{.ceiling = ceiling()};
    looked_until_.reset();
    line_.visit([&](const WaitingLine::Place& place, bool owed) {
        const bool goes_on = consider(place, owed, pass);
        if (!goes_on) {
            looked_until_ = PlanningPass::End{owed, place};
        }
        return goes_on;
    });
    put_back(pass);
    return_to_service(StopReason::evicted, pass.retiring);
    if (ceiling_fell_) {
        ceiling_fell_ = false;
        refuse_what_never_fits();
    }
}

/// True when the last pass ended before it would have come to `place`: nothing has changed for it.
bool Scheduler::is_out_of_reach(const WaitingLine::Place& place) const {
    return looked_until_.has_value() && place.owed_at > now_ &&
           (looked_until_->owed || looked_until_->place < place);
}

// One model without an instance that somebody waits for, in the order of WaitingLine, with the
// placements of its best grade that could ever fit:
//  1. There is none: its requests are refused. One that needs what somebody ahead is short of is
//     left out; when that leaves none, the model is blocked. One that sleeps can only wake up where
//     it is; where it can never fit any more, it leaves.
//  2. Some fit into what is free, and leave models ahead what they claim: it starts where least
//     stays free, so that large models find room elsewhere; or it wakes up.
//  3. What is leaving already suffices for one: it claims that and waits.
//  4. A load that nobody waits for is given up: it pushes nobody out.
//  5. Idle instances that are ripe suffice (any idle ones when it is owed memory): where least is
//     lost they leave, the least valuable first; then as 3. Those that can sleep keep a part of
//     their memory and come back sooner, as far as that part is not needed.
//  6. Not owed yet: it is blocked, and models behind it may overtake.
//  7. Owed: it claims memory, see claim().
bool Scheduler::consider(const WaitingLine::Place& place, bool owed, PlanningPass& pass) {
    Model& model = models_.at(place.model);
    if (refuse_if_never_fits(place.model, model, pass.ceiling)) {
        return true;
    }
    if (model.asleep) {
        const Placement* bed = bed_of(model);
        if (bed == nullptr || !bed->footprint.fits(pass.ceiling)) {
            stop(model.asleep, StopReason::evicted);
            return true;
        }
    }
    set_aside(model, pass);
    look_at_placements(model, pass);
    if (pass.options.empty()) {
        return ++pass.blocked < kLookAhead;
    }
    const Footprint free = free_for(pass);
    if (const Placement* now = free_placement(free, pass); now != nullptr) {
        if (model.asleep) {
            wake(place.model, model);
        } else {
            start(place.model, model, *now);
        }
        return true;
    }
    const auto soon =
        std::find_if(pass.options.begin(), pass.options.end(), [&free](const auto& option) {
            return option.needed.fits(free);
        });
    if (soon != pass.options.end()) {
        pass.claimed += soon->needed;
        return true;
    }
    if (model.queue.empty()) {
        model.wanted = false;
        update_place(place.model, model);
        return true;
    }
    if (evict_for(owed, free, pass)) {
        return true;
    }
    if (owed) {
        claim(model, free, pass);
    }
    // Where somebody is short of everything, nobody behind gets anything.
    return ++pass.blocked < kLookAhead && !pass.exhausted.spans(pass.ceiling);
}

/// Sets the options of the model in this pass.
void Scheduler::look_at_placements(const Model& model, PlanningPass& pass) const {
    pass.options.clear();
    if (model.asleep) {
        if (Footprint needed = still_needed(model); !needed.overlaps(pass.exhausted)) {
            pass.options.push_back({bed_of(model), needed});
        }
        return;
    }
    std::optional<std::uint32_t> grade;
    for (const Placement& one : model.traits.placements) {
        if (grade.has_value() && one.grade > *grade) {
            return;
        }
        if (one.footprint.fits(pass.ceiling)) {
            grade = one.grade;
            if (!one.footprint.overlaps(pass.exhausted)) {
                pass.options.push_back({&one, one.footprint});
            }
        }
    }
}

/// Where it can start now; null: nowhere.
const Placement* Scheduler::free_placement(const Footprint& free, const PlanningPass& pass) const {
    const Footprint available = ledger_.available();
    const Footprint unclaimed = free + pass.promised;
    const Placement* best = nullptr;
    Bytes least;
    for (const auto& [placement, needed] : pass.options) {
        if (!needed.fits(available) || !needed.fits(unclaimed)) {
            continue;
        }
        const Bytes left = needed.leaves_of(available);
        if (best == nullptr || left < least) {
            best = placement;
            least = left;
        }
    }
    return best;
}

/// Lets idle instances leave for it where least is lost. False: nowhere do they suffice.
bool Scheduler::evict_for(bool owed, const Footprint& free, PlanningPass& pass) {
    const Footprint* chosen = nullptr;
    Victims leaving;
    for (const auto& [placement, needed] : pass.options) {
        Victims victims = idle_.choose(needed.lacks(free), scale(), owed);
        if (!victims.empty() && (chosen == nullptr || victims.cheaper_than(leaving))) {
            chosen = &needed;
            leaving = std::move(victims);
        }
    }
    if (chosen == nullptr) {
        return false;
    }
    evict(leaving, *chosen, pass);
    pass.claimed += *chosen;
    return true;
}

/// Frees what is `needed` beyond what is free. What is left of the victims' memory, and of what is
/// free, is for those that can sleep. REQUIRES: together they hold enough.
void Scheduler::evict(const Victims& victims, const Footprint& needed, const PlanningPass& pass) {
    const Footprint free = free_for(pass);
    Footprint spare = (free - needed).positive() - needed.lacks(free);
    for (const InstanceId victim : victims.instances) {
        spare += ledger_.holding(victim);
    }
    const Sleepers sleepers = choose_sleepers(victims, spare);
    for (const InstanceId victim : victims.instances) {
        if (const auto sleeper = sleepers.find(victim); sleeper != sleepers.end()) {
            fall_asleep(victim, sleeper->second);
        } else {
            stop(victim, StopReason::evicted);
        }
    }
}

// A model that is owed memory claims it, so that nobody overtakes, and as many busy instances as it
// takes retire. Idle ones stay in use until all of it can be freed (step 5).
//  1. It keeps the placement that it claimed before: else busy instances would retire now here, now
//     there, and it would wait for ever.
//  2. It takes one for which nobody more has to retire; else the one where least is lost.
//  3. There is none: only the end of a load can help. Nobody else gets what it is short of.
void Scheduler::claim(Model& model, const Footprint& free, PlanningPass& pass) {
    const Footprint promised = idle_.total() + retiring_held_;
    const auto index_of = [&model](const Placement& one) {
        return static_cast<std::size_t>(&one - model.traits.placements.data());
    };
    const bool kept =
        std::any_of(pass.options.begin(), pass.options.end(), [&](const auto& option) {
            return model.claim == index_of(*option.placement);
        });
    const PlanningPass::Option* chosen = nullptr;
    bool enough = false;
    Victims leaving;
    for (const PlanningPass::Option& option : pass.options) {
        if (kept && model.claim != index_of(*option.placement)) {
            continue;
        }
        // What is missing counts what models ahead claim beyond what is free now, so it is compared
        // with everything that leaves later.
        const Footprint short_of = option.needed.lacks(free).lacks(promised);
        Victims victims = short_of.empty() ? Victims() : choose_busy(short_of, false);
        const bool suffices = short_of.empty() || !victims.empty();
        if (chosen == nullptr || (suffices && (!enough || victims.cheaper_than(leaving)))) {
            chosen = &option;
            enough = suffices;
            leaving = std::move(victims);
        }
    }
    const Footprint missing = chosen->needed.lacks(free);
    model.claim = index_of(*chosen->placement);
    if (!leaving.empty()) {
        retire(leaving, {StopReason::evicted, model.queue.front().ticket});
    }
    if (!enough) {
        pass.exhausted += missing;
    }
    pass.claimed += chosen->needed;
    pass.retiring += missing;
    pass.promised = idle_.total() + retiring_held_;
}

/// The least valuable busy instances that free `missing`. Empty when all of them do not suffice;
/// with `anyway` then those that help.
Victims Scheduler::choose_busy(const Footprint& missing, bool anyway) const {
    // Cheaper than looking at them all, of which most retire already when many models wait.
    if (!anyway && !missing.fits(busy_held_ - retiring_held_)) {
        return {};
    }
    std::vector<Candidate> busy;
    for (const auto& [id, instance] : instances_) {
        if (instance.state == InstanceState::ready && instance.leases > 0 &&
            !instance.retiring.has_value() && !pinned_.contains(id)) {
            busy.push_back({leaving_rank(id, instance), ledger_.holding(id)});
        }
    }
    std::sort(busy.begin(), busy.end(), [](const Candidate& a, const Candidate& b) {
        return a.rank < b.rank;
    });
    VictimChoice choice(missing, scale());
    for (const Candidate& candidate : busy) {
        choice.offer(candidate.rank, candidate.held);
    }
    return choice.enough() || anyway ? choice.take() : Victims();
}

void Scheduler::retire(const Victims& victims, const Retirement& retirement) {
    for (const InstanceId id : victims.instances) {
        set_retiring(id, instances_.at(id), retirement);
    }
}

/// Those who were asked to leave for `reason`, and hold nothing of what is still missing, are no
/// longer in anybody's way.
void Scheduler::return_to_service(StopReason reason, const Footprint& missing) {
    const bool all_hold_some = missing.spans(ledger_.held());
    if (all_hold_some || (reason == StopReason::shrunk && shrinking_ == 0)) {
        return;
    }
    for (auto next = retiring_.begin(); next != retiring_.end();) {
        const InstanceId id = *next++;
        Instance& instance = instances_.at(id);
        if (instance.retiring->reason != reason || ledger_.holding(id).overlaps(missing)) {
            continue;
        }
        set_retiring(id, instance, std::nullopt);
        if (instance.idle_since.has_value()) {
            place_idle(id, instance);
        }
        serve(models_.at(instance.model));
    }
}

// After the budget shrank or an instance grew, what is held must come back under it:
//  1. Idle instances leave, the least valuable first, even when all of them are not enough.
//  2. Loads are broken off, the last first: they serve nobody yet, and their requests go on
//  waiting.
//  3. Busy instances retire, and serve nobody else.
// Pinned ones stay: whoever pins decides.
void Scheduler::shrink() {
    return_to_service(StopReason::shrunk, overdrawn());
    if (overdrawn().empty()) {
        return;
    }
    for (const InstanceId victim : idle_.choose_what_helps(overdrawn(), scale()).instances) {
        stop(victim, StopReason::shrunk);
    }
    for (auto one = instances_.rbegin(); one != instances_.rend(); ++one) {
        if (one->second.state == InstanceState::loading && !pinned_.contains(one->first) &&
            ledger_.holding(one->first).overlaps(overdrawn())) {
            stop(one->first, StopReason::shrunk);
        }
    }
    const Footprint over = overdrawn().lacks(retiring_held_);
    if (!over.empty()) {
        retire(choose_busy(over, true), {StopReason::shrunk});
    }
}

/// What is held beyond the budget and not leaving yet.
Footprint Scheduler::overdrawn() const {
    return (ledger_.held() - leaving_).lacks(ledger_.budget());
}

/// The most that a model without an instance could ever get: nobody takes what is pinned.
Footprint Scheduler::ceiling() const {
    Footprint ceiling = ledger_.budget();
    for (const InstanceId id : pinned_) {
        ceiling -= ledger_.holding(id);
    }
    return ceiling;
}

Footprint Scheduler::most_for(ModelId model) const {
    const InstanceId own = models_.at(model).instance;
    return ceiling() + (pinned_.contains(own) ? ledger_.holding(own) : Footprint());
}

void Scheduler::refuse_what_never_fits() {
    const Footprint most = ceiling();
    line_.visit([&](const WaitingLine::Place& place, bool) {
        refuse_if_never_fits(place.model, models_.at(place.model), most);
        return true;
    });
}

bool Scheduler::refuse_if_never_fits(ModelId id, Model& model, const Footprint& most) {
    const std::vector<Placement>& placements = model.traits.placements;
    if (std::any_of(placements.begin(), placements.end(), [&most](const Placement& one) {
            return one.footprint.fits(most);
        })) {
        return false;
    }
    model.wanted = false;
    refuse_waiting(model,
                   {.request = {},
                    .reason = RefuseReason::never_fits,
                    .needed = placements.front().footprint,
                    .available = most});
    update_place(id, model);
    replan_ = true;  // what it claimed is free again
    return true;
}

LeavingRank Scheduler::leaving_rank(InstanceId id, const Instance& instance) const {
    const Model& model = models_.at(instance.model);
    return {.stays = !instance.retiring.has_value(),
            .priority = model.traits.priority,
            .value = keep_value(
                policies_.current(), model.usage, loss_of(model, instance), ledger_.holding(id)),
            .last_used = model.last_used,
            .instance = id};
}

}  // namespace drover::memory
