// What ControlLoop tells of its models and instances: by name, and all of them.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "control/control_loop.hpp"
#include "control/durations.hpp"
#include "platform/clock.hpp"

namespace drover::control {

using memory::Footprint;
using platform::now;

namespace {

/// A client may send any name; messages quote this much of it.
constexpr std::size_t kNameShownMax = 200;

/// Models that a complaint names.
constexpr std::size_t kModelsNamed = 5;

std::string_view to_string(memory::InstanceState state) {
    switch (state) {
        case memory::InstanceState::loading:
            return "loading";
        case memory::InstanceState::ready:
            return "ready";
        case memory::InstanceState::falling_asleep:
            return "falling asleep";
        case memory::InstanceState::asleep:
            return "asleep";
        case memory::InstanceState::stopping:
            return "stopping";
    }
    DROVER_UNREACHABLE();
}

std::string_view state_of_model(const std::optional<memory::InstanceView>& instance) {
    if (!instance.has_value()) {
        return "cold";
    }
    return instance->state == memory::InstanceState::ready ? "hot" : to_string(instance->state);
}

/// "; there are 'a', 'b', ...: GET /v1/models lists them all".
std::string names_of_some(const std::vector<models::Model>& models) {
    std::string text;
    for (std::size_t i = 0; i < std::min(models.size(), kModelsNamed); ++i) {
        text += (i == 0 ? "; there is '" : ", '") + models[i].name + "'";
    }
    text += models.size() > kModelsNamed ? ", ..." : "";
    return text + "; GET /v1/models lists what there is";
}

}  // namespace

Result<ModelId> ControlLoop::find(std::string_view name) const {
    const models::Model* model = registry_.find(name);
    if (model == nullptr || model->engine == config::EngineKind::remote) {
        if (const auto remote = remotes_.find(name); remote.has_value()) {
            return *remote;
        }
    }
    if (model == nullptr) {
        std::string message =
            "model '" + std::string(name.substr(0, kNameShownMax)) + "' does not exist";
        const std::vector<std::string> nearest = registry_.nearest(name);
        for (std::size_t i = 0; i < nearest.size(); ++i) {
            message += (i == 0 ? "; did you mean '" : i + 1 == nearest.size() ? " or '" : ", '");
            message += nearest[i] + "'";
        }
        message += nearest.empty() ? names_of_some(registry_.models()) : "?";
        return Error{ErrorCode::not_found, std::move(message)};
    }
    if (model->engine == config::EngineKind::remote && model->served_name == "*") {
        return Error{ErrorCode::not_found,
                     "'" + model->name +
                         "' stands for a server's models; GET /v1/models lists what there is"};
    }
    if (!models_.contains(model->id)) {
        return Error{
            ErrorCode::engine_failed,
            "model '" + model->name + "' cannot be served: " +
                (model->broken.has_value() ? model->broken->message
                                           : "its settings are wrong; the log says which")};
    }
    return model->id;
}

std::optional<ModelId> ControlLoop::only_model() const {
    if (models_.size() - retired_.size() != 1 || !remotes_.models().empty()) {
        return std::nullopt;
    }
    return std::find_if(models_.begin(),
                        models_.end(),
                        [this](const auto& one) { return !retired_.contains(one.first); })
        ->first;
}

std::string_view ControlLoop::name(ModelId model) const {
    return Remotes::has(model) ? std::string_view(remotes_.name(model)) : *names_.at(model);
}

std::vector<ModelView> ControlLoop::models() const {
    std::vector<ModelView> views = remotes_.models();
    for (const models::Model& model : registry_.models()) {
        if (model.engine == config::EngineKind::remote &&
            (model.served_name == "*" || remotes_.find(model.name).has_value())) {
            continue;  // it is there already, or stands for others
        }
        if (const auto found = models_.find(model.id); found != models_.end()) {
            ModelView view = found->second.view;
            view.state = state_of_model(scheduler_.instance_of(model.id));
            views.push_back(std::move(view));
        } else {
            views.push_back({.name = model.name,
                             .aliases = model.aliases,
                             .file = model.files.empty() ? "" : model.files.front().string(),
                             .state = "cold",
                             .broken = model.broken.has_value()
                                           ? model.broken->message
                                           : "its settings are wrong; the log says which",
                             .digest = model.digest,
                             .origin = std::string(models::to_string(model.origin))});
        }
    }
    std::sort(views.begin(), views.end(), [](const ModelView& a, const ModelView& b) {
        return a.name < b.name;
    });
    return views;
}

std::vector<DeviceView> ControlLoop::device_views() const {
    const Footprint held = scheduler_.held() + Footprint::host(budget_.own());
    std::vector<DeviceView> views;
    for (const std::size_t slot : budget_.slots()) {
        views.push_back({.device = label_of(slot),
                         .bytes = budget_.configured(slot) - budget_.taken(slot),
                         .held = held[slot],
                         .taken = budget_.taken(slot)});
    }
    for (const Device& device : options_.gpus) {
        const auto view = std::find_if(views.begin(), views.end(), [&](const DeviceView& one) {
            return one.device == (device.unified() ? "host" : device.label());
        });
        view->name = device.name;
        view->uuid = device.uuid;
    }
    return views;
}

std::vector<DeviceShare> ControlLoop::shares_of(const Footprint& held) const {
    std::vector<DeviceShare> shares;
    for (const std::size_t slot : budget_.slots()) {
        if (held[slot] > Bytes(0)) {
            shares.push_back({.device = label_of(slot), .bytes = held[slot]});
        }
    }
    return shares;
}

FleetView ControlLoop::view() const {
    FleetView fleet{.budget = device_views(),
                    .instances = {},
                    .snapshots = snapshots_.view(),
                    .queued = static_cast<std::uint32_t>(scheduler_.waiting()),
                    .remotes = remotes_.view()};
    const std::int64_t wall_now = platform::wall_clock_ms();
    for (const memory::InstanceView& one : scheduler_.instances()) {
        const Instance& instance = *instances_.at(one.instance);
        std::optional<std::int64_t> expires_at_ms;
        if (one.expires_at.has_value()) {
            expires_at_ms = wall_now + milliseconds_of(*one.expires_at - now());
        }
        fleet.instances.push_back(
            {.model = models_.at(one.model).view.name,
             .state = std::string(to_string(one.state)),
             .bytes = one.held.total(),
             .where = instance.placed.where,
             .devices = shares_of(one.held),
             .leases = one.leases,
             .queued = static_cast<std::uint32_t>(scheduler_.waiting(one.model)),
             .load = one.leases > 0 ? instance.load : std::nullopt,
             .expires_at_ms = expires_at_ms,
             .pid = instance.supervisor.pid(),
             .loaded_ms = milliseconds_of(instance.load_time),
             .woke_ms = milliseconds_of(instance.wake_time),
             .restored_tokens = snapshots_.restored_tokens(one.instance)});
    }
    return fleet;
}

}  // namespace drover::control
