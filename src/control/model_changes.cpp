// Models that appear and disappear while the server runs.
#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "control/control_loop.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;

void ControlLoop::declare(ManagedModel model) {
    if (options_.models_max != 0) {
        for (std::size_t i = 0; i < model.placements.size(); ++i) {
            model.traits.placements[i].footprint[memory::kModelCount] = Bytes(1);
            model.placements[i].least[memory::kModelCount] = Bytes(1);
        }
    }
    names_.insert_or_assign(model.id, &*all_names_.insert(model.view.name).first);
    const ModelId id = model.id;
    const memory::ModelTraits traits = model.traits;
    snapshots_.declare(id, model.view.name, model.snapshots);
    snapshots_.note_speed(id, model.view.prefill_per_token);
    models_.insert_or_assign(id, std::move(model));
    feed(memory::ModelDeclared{id, traits});
}

void ControlLoop::replace_models(models::Registry registry, std::vector<ManagedModel> models) {
    registry_ = std::move(registry);
    std::vector<ModelId> to_load;
    std::unordered_set<ModelId> current;
    for (ManagedModel& model : models) {
        const ModelId id = model.id;
        current.insert(id);
        retired_.erase(id);
        if (!models_.contains(id)) {
            log::info("model.appeared", {{"model", model.view.name}, {"file", model.view.file}});
            if (model.preload) {
                to_load.push_back(id);
            }
            declare(std::move(model));
        } else if (models_.at(id).view.name != model.view.name ||
                   models_.at(id).view.aliases != model.view.aliases) {
            as_configured_.erase(id);
            declare(std::move(model));
        }
    }
    std::vector<ModelId> leaving;
    for (const auto& [id, model] : models_) {
        if (!current.contains(id) && retired_.insert(id).second) {
            leaving.push_back(id);
        }
    }
    for (const ModelId id : leaving) {
        log::info("model.disappeared", {{"model", name(id)}});
        feed(memory::UnloadRequested{id});  // when its leases have ended
    }
    for (const ModelId id : to_load) {
        feed(memory::LoadRequested{id});
    }
    forget_retired();
}

// It shrinks only when what it became can never fit: clients that want different contexts would
// have it loaded in turns.
void ControlLoop::enlarge(ModelId id, std::uint32_t context) {
    const ManagedModel& present = models_.at(id);
    const models::Model* model = registry_.find(present.view.name);
    if (context <= present.view.context || model == nullptr || !options_.with_context) {
        return;
    }
    auto larger = options_.with_context(*model, context);
    if (!larger.has_value() || larger->view.context <= present.view.context) {
        return;
    }
    const auto& placements = larger->traits.placements;
    const memory::Footprint most = scheduler_.most_for(id);
    const bool fits = std::any_of(placements.begin(), placements.end(), [&](const auto& one) {
        return one.footprint.fits(most);
    });
    if (!fits) {
        log::info("model.not_enlarged", {{"model", present.view.name}, {"context", context}});
        return;
    }
    larger->traits.pinned = present.traits.pinned;
    log::info("model.enlarged", {{"model", present.view.name}, {"context", larger->view.context}});
    as_configured_.try_emplace(id, present);
    declare(std::move(*larger));
    feed(memory::UnloadRequested{id});  // those who use it go on; whoever asks now waits for more
}

// What was free when it was enlarged may be taken since: by a model that is pinned now, or by other
// programs.
bool ControlLoop::went_back(Pending& pending) {
    const ModelId id = pending.model();
    if (auto former = as_configured_.extract(id); !former.empty()) {
        log::info("model.shrunk", {{"model", name(id)}, {"context", former.mapped().view.context}});
        former.mapped().traits.pinned = models_.at(id).traits.pinned;
        declare(std::move(former.mapped()));
    }
    return models_.at(id).view.context < pending.context();
}

void ControlLoop::forget_retired() {
    std::erase_if(retired_, [this](ModelId id) {
        const bool asked_for = std::any_of(pending_.begin(), pending_.end(), [id](const auto& one) {
            return one.second->model() == id;
        });
        const bool used = asked_for || scheduler_.instance_of(id).has_value() ||
                          std::any_of(instances_.begin(), instances_.end(), [id](const auto& one) {
                              return one.second->model == id;
                          });
        if (!used) {
            models_.erase(id);
            as_configured_.erase(id);
            last_failure_.erase(id);
        }
        return !used;
    });
}

platform::Task<> ControlLoop::refresh() {
    if (refresh_) {
        co_await refresh_();
    }
}

}  // namespace drover::control
