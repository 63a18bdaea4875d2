#include "gateway/catalogue.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/clock.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway {

namespace json = boost::json;

namespace {

/// Names and paths come from the file system, where they need not be UTF-8.
json::object openai_entry(const control::ModelView& model) {
    return {{"id", json_text(model.name)},
            {"object", "model"},
            {"created", model.created},
            {"owned_by", "drover"}};
}

json::object anthropic_entry(const control::ModelView& model) {
    return {{"type", "model"},
            {"id", json_text(model.name)},
            {"display_name", json_text(model.name)},
            {"created_at", dialect::rfc3339(model.created * 1000)}};
}

json::array texts(const std::vector<std::string>& values) {
    json::array array;
    for (const std::string& value : values) {
        array.emplace_back(json_text(value));
    }
    return array;
}

json::object admin_entry(const control::ModelView& model) {
    return {{"name", json_text(model.name)},
            {"aliases", texts(model.aliases)},
            {"file", json_text(model.file)},
            {"size", model.size.count()},
            {"architecture", json_text(model.architecture)},
            {"quantisation", json_text(model.quantisation)},
            {"parameters", model.parameters},
            {"context", model.context},
            {"parallel", model.parallel},
            {"task", json_text(model.task)},
            {"state", json_text(model.state)},
            {"estimated_bytes", model.estimated.count()},
            {"servers", texts(model.servers)},
            {"broken", model.broken.has_value() ? json::value(json_text(*model.broken)) : nullptr}};
}

json::value load_entry(const std::optional<engines::EngineLoad>& load) {
    if (!load.has_value()) {
        return nullptr;
    }
    return json::object{
        {"running", load->running}, {"waiting", load->waiting}, {"cache_used", load->cache_used}};
}

json::object remote_entry(const control::RemoteView& remote) {
    return {{"model", json_text(remote.model)},
            {"url", json_text(remote.url)},
            {"circuit", json_text(remote.state)},
            {"leases", remote.leases},
            {"queued", remote.queued},
            {"failures", remote.failures},
            {"retry_ms",
             remote.retry_ms.has_value() ? json::value(*remote.retry_ms) : json::value(nullptr)},
            {"first_byte_ms", remote.first_byte_ms},
            {"problem", json_text(remote.problem)}};
}

json::object snapshots_entry(const control::SnapshotView& snapshots) {
    return {{"count", snapshots.count},
            {"bytes", snapshots.bytes.count()},
            {"budget", snapshots.budget.count()},
            {"saved", snapshots.saved},
            {"restored", snapshots.restored},
            {"hits", snapshots.hits},
            {"misses", snapshots.misses},
            {"tokens_saved", snapshots.tokens_saved},
            {"saved_ms", snapshots.saved_ms}};
}

}  // namespace

std::string openai_model(const control::ModelView& model) {
    return json::serialize(openai_entry(model));
}

std::string openai_models(const std::vector<control::ModelView>& models) {
    json::array data;
    for (const control::ModelView& model : models) {
        if (!model.broken.has_value()) {
            data.emplace_back(openai_entry(model));
        }
    }
    return json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}});
}

std::string anthropic_model(const control::ModelView& model) {
    return json::serialize(anthropic_entry(model));
}

std::string anthropic_models(const std::vector<control::ModelView>& models) {
    json::array data;
    for (const control::ModelView& model : models) {
        if (!model.broken.has_value()) {
            data.emplace_back(anthropic_entry(model));
        }
    }
    const auto id_at = [&](std::size_t index) -> json::value {
        return data.empty() ? json::value(nullptr) : data[index].at("id");
    };
    json::object list{{"first_id", id_at(0)}, {"last_id", id_at(data.size() - 1)}};
    list["has_more"] = false;
    list["data"] = std::move(data);
    return json::serialize(list);
}

std::string admin_models(const std::vector<control::ModelView>& models) {
    json::array entries;
    for (const control::ModelView& model : models) {
        entries.emplace_back(admin_entry(model));
    }
    return json::serialize(json::object{{"models", std::move(entries)}});
}

std::string admin_fleet(const control::FleetView& fleet) {
    json::array budget;
    for (const control::DeviceView& device : fleet.budget) {
        budget.emplace_back(json::object{{"device", json_text(device.device)},
                                         {"name", json_text(device.name)},
                                         {"uuid", json_text(device.uuid)},
                                         {"bytes", device.bytes.count()},
                                         {"held", device.held.count()},
                                         {"taken_by_others", device.taken.count()}});
    }
    json::array instances;
    for (const control::InstanceView& instance : fleet.instances) {
        json::value expires = nullptr;
        if (instance.expires_at_ms.has_value()) {
            expires = *instance.expires_at_ms;
        }
        json::object devices;
        for (const control::DeviceShare& share : instance.devices) {
            devices[share.device] = share.bytes.count();
        }
        instances.emplace_back(json::object{{"model", json_text(instance.model)},
                                            {"state", json_text(instance.state)},
                                            {"bytes", instance.bytes.count()},
                                            {"where", json_text(instance.where)},
                                            {"devices", std::move(devices)},
                                            {"leases", instance.leases},
                                            {"queued", instance.queued},
                                            {"load", load_entry(instance.load)},
                                            {"expires_at_ms", std::move(expires)},
                                            {"pid", instance.pid},
                                            {"loaded_ms", instance.loaded_ms},
                                            {"woke_ms", instance.woke_ms},
                                            {"restored_tokens", instance.restored_tokens}});
    }
    json::array remotes;
    for (const control::RemoteView& remote : fleet.remotes) {
        remotes.emplace_back(remote_entry(remote));
    }
    return json::serialize(json::object{{"budget", std::move(budget)},
                                        {"instances", std::move(instances)},
                                        {"remotes", std::move(remotes)},
                                        {"snapshots", snapshots_entry(fleet.snapshots)},
                                        {"queued", fleet.queued}});
}

}  // namespace drover::gateway
