#include "app/placing.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.hpp"

namespace drover::app {

GpuUse gpu_use_of(const models::Model& model, GpuUse llama_cpp) {
    switch (model.engine) {
        case config::EngineKind::llama_cpp:
            return llama_cpp;
        case config::EngineKind::vllm:
            return GpuUse::all;
        case config::EngineKind::command:
        case config::EngineKind::remote:
            return GpuUse::if_asked;
    }
    DROVER_UNREACHABLE();
}

Result<Wish> wish_of(const engines::ResolvedSettings& settings,
                     const Devices& devices,
                     GpuUse use) {
    const config::DeviceChoice& choice = settings.device;
    Wish wish{.layout = {}, .gpus = {}, .tells = choice.host};
    for (const std::string& name : choice.gpus) {
        const control::Device* gpu = find_gpu(devices.gpus, name);
        if (gpu == nullptr) {
            return Error{ErrorCode::invalid_argument,
                         "device: there is no GPU " + name + "; " + list_gpus(devices.gpus) +
                             ". Write one of them, host or auto"};
        }
        if (use == GpuUse::none) {
            return Error{ErrorCode::invalid_argument,
                         "device: this llama-server cannot compute on GPUs; set "
                         "engine.llama_server to one built for CUDA, or write host"};
        }
        wish.gpus.push_back(*gpu);
    }
    if (choice == config::DeviceChoice() && use == GpuUse::all) {
        std::copy_if(devices.gpus.begin(),
                     devices.gpus.end(),
                     std::back_inserter(wish.gpus),
                     [](const auto& gpu) { return gpu.budget > Bytes(0); });
        wish.tells = wish.tells || !devices.gpus.empty();
    }
    if (wish.gpus.empty()) {
        return wish;
    }
    wish.tells = true;
    for (const control::Device& gpu : wish.gpus) {
        wish.layout.gpus.push_back({gpu.slot, gpu.budget});
    }
    wish.layout.all_gpus = choice.gpus.size() > 1;
    wish.layout.gpu_layers = settings.gpu_layers.number;
    wish.layout.whole = settings.gpu_layers.all;
    wish.layout.host = choice.gpus.empty() && settings.gpu_layers == config::GpuLayers();
    return wish;
}

Placed placed(const memory::Layout& layout, const Wish& wish, std::size_t layers) {
    std::vector<std::uint32_t> numbers;
    for (const control::Device& gpu : wish.gpus) {
        numbers.push_back(gpu.index);
    }
    Placed result{
        .placement = {.footprint = layout.footprint, .grade = layout.grade},
        .traits = {.where = memory::to_text(layout, numbers, layers), .growth = layout.growth},
        .devices = {}};
    engines::EngineDevices devices{.gpus = {}, .whole = layout.gpus.empty() || layout.whole};
    for (const memory::GpuShare& share : layout.gpus) {
        const control::Device& gpu = wish.gpus[share.gpu];
        const Bytes bytes = result.placement.footprint[gpu.slot];
        const double part = gpu.total > Bytes(0) ? static_cast<double>(bytes.count()) /
                                                       static_cast<double>(gpu.total.count())
                                                 : 0;
        devices.gpus.push_back({.uuid = gpu.uuid, .layers = share.layers, .share = part});
        if (!gpu.unified()) {
            result.traits.slots.push_back(gpu.slot);
        }
        result.traits.size_key.settings += " " + gpu.uuid + ":" + std::to_string(share.layers);
    }
    if (wish.tells) {
        result.devices = std::move(devices);
    }
    return result;
}

void complete_key(const control::SizeKey& model, control::PlacementTraits& placement) {
    placement.size_key.model = model.model;
    placement.size_key.engine = model.engine;
    placement.size_key.settings.insert(0, model.settings);
}

std::optional<KnownSize> known_size(const control::PlacementTraits& placement,
                                    const control::MeasuredSizes& sizes) {
    const auto known = sizes.find(placement.size_key);
    if (!known.has_value() || known->bytes.size() != placement.slots.size()) {
        return std::nullopt;
    }
    KnownSize size{.footprint = {}, .load_time = known->load_time};
    for (std::size_t i = 0; i < known->bytes.size(); ++i) {
        size.footprint[placement.slots[i]] = known->bytes[i];
    }
    size.footprint.raise_to(placement.least);
    return size;
}

std::optional<engines::EngineDevices> add_placement(Placed placed,
                                                    const control::SizeKey& key,
                                                    const control::MeasuredSizes* sizes,
                                                    control::ManagedModel& model) {
    complete_key(key, placed.traits);
    const auto known = sizes != nullptr ? known_size(placed.traits, *sizes) : std::nullopt;
    if (known.has_value()) {
        placed.placement.footprint = known->footprint;
        if (model.placements.empty()) {
            model.traits.load_time = known->load_time;
        }
    }
    if (model.placements.empty()) {
        model.view.estimated = placed.placement.footprint.total();
        model.view.load_time = model.traits.load_time;
    }
    model.traits.placements.push_back(placed.placement);
    model.placements.push_back(std::move(placed.traits));
    return std::move(placed.devices);
}

}  // namespace drover::app
