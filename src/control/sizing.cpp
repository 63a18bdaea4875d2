#include "control/sizing.hpp"

#include <type_traits>
#include <vector>

#include "engines/speculation.hpp"
#include "models/header_file.hpp"
#include "platform/cpu_features.hpp"

namespace drover::control {

namespace {

using memory::SizeEstimate;
using memory::SizeSettings;

/// "512.0 MiB of weights, 189.0 MiB of KV cache".
std::string breakdown(const SizeEstimate& size) {
    const Bytes weights = size.weights_mapped + size.weights_anonymous;
    const Bytes kv = size.kv_cache + size.recurrent_state + size.checkpoints;
    const Bytes rest = size.total() - weights - kv - size.prompt_cache;
    std::string text = to_string(weights) + " of weights, " + to_string(kv) + " of KV cache, ";
    if (size.prompt_cache > Bytes(0)) {
        text += to_string(size.prompt_cache) + " of prompt cache, ";
    }
    return text + to_string(rest) + " of buffers and program";
}

bool fits(const models::ModelFacts& facts, const SizeSettings& settings, Bytes available) {
    return memory::estimate_size(facts, settings).total() <= available;
}

/// The mildest change that is enough: cheap things first, quality last.
std::string remedy(const models::ModelFacts& facts, SizeSettings settings, Bytes available) {
    std::vector<std::string> changes;
    const auto joined = [&changes] {
        std::string text;
        for (const std::string& change : changes) {
            text += (text.empty() ? "" : ", ") + change;
        }
        return text;
    };
    if (settings.prompt_cache > Bytes(0)) {
        settings.prompt_cache = Bytes(0);
        changes.emplace_back("prompt_cache: 0");
        if (fits(facts, settings, available)) {
            return joined();
        }
    }
    if (settings.parallel > 1) {
        settings.parallel = 1;
        changes.emplace_back("parallel: 1");
        if (fits(facts, settings, available)) {
            return joined();
        }
    }
    if (const auto context = memory::largest_context_that_fits(facts, settings, available);
        context.has_value()) {
        changes.push_back("context: " + std::to_string(*context));
        return joined();
    }
    return "";
}

}  // namespace

models::CpuFeatures processor() {
    const platform::ProcessorFeatures features = platform::processor_features();
    models::CpuFeatures cpu;
    cpu.avx2 = features.avx2;
    cpu.avx512 = features.avx512;
    cpu.amx_int8 = features.amx_int8;
    cpu.neon_dotprod = features.neon_dotprod;
    cpu.neon_i8mm = features.neon_i8mm;
    return cpu;
}

SizeSettings size_settings(const engines::ResolvedSettings& settings,
                           const models::CpuFeatures& cpu) {
    SizeSettings result;
    result.context = settings.context;
    result.parallel = settings.parallel;
    result.batch = settings.batch;
    result.cache_type_k = settings.cache_type_k;
    result.cache_type_v = settings.cache_type_v;
    result.flash_attention = settings.flash_attention.value_or(true);
    result.embeds = settings.task != config::Task::generate;
    result.repack = settings.repack;
    result.map_weights = settings.map_weights;
    result.cpu = cpu;
    result.prompt_cache = settings.prompt_cache;
    result.checkpoints = settings.checkpoints;
    result.drafts = engines::speculation_of(settings.extra_args).own_layers;
    return result;
}

Status count_draft(const engines::ResolvedSettings& settings,
                   SizeSettings sizing,
                   models::Companions& beside) {
    const std::filesystem::path draft = engines::speculation_of(settings.extra_args).draft_model;
    if (draft.empty()) {
        return {};
    }
    const auto files = models::files_of_model(draft);
    const auto facts = files.ok() ? models::read_facts(*files) : files.error();
    if (!facts.ok()) {
        return facts.error();
    }
    // Its context is as large, and its cache is not quantised unless somebody asks for it.
    sizing.cache_type_k = sizing.cache_type_v = "f16";
    sizing.prompt_cache = Bytes(0);
    sizing.drafts = false;
    const SizeEstimate size = memory::estimate_size(*facts, sizing);
    beside.draft = size.weights_mapped + size.weights_anonymous + size.caches();
    beside.draft_buffers = size.output_buffer + size.compute_buffer + size.checkpoints;
    return {};
}

std::string text_of(const SizeSettings& settings) {
    std::string text;
    const auto add = [&text](const char* name, const auto& value) {
        if constexpr (std::is_convertible_v<decltype(value), std::string>) {
            text += std::string(name) + "=" + value + " ";
        } else {
            text += std::string(name) + "=" + std::to_string(value) + " ";
        }
    };
    add("context", settings.context);
    add("parallel", settings.parallel);
    add("batch", settings.batch);
    add("k", settings.cache_type_k);
    add("v", settings.cache_type_v);
    add("flash", settings.flash_attention);
    add("embeds", settings.embeds);
    add("repack", settings.repack);
    add("map", settings.map_weights);
    add("prompt_cache", settings.prompt_cache.count());
    add("checkpoints", settings.checkpoints);
    return text;
}

std::string size_advice(const models::ModelFacts& facts,
                        const SizeSettings& settings,
                        Bytes available) {
    const SizeEstimate size = memory::estimate_size(facts, settings);
    std::string text = "It takes " + breakdown(size) + ".";
    const std::string change = remedy(facts, settings, available);
    if (change.empty()) {
        return text + " No context fits; use a smaller quantisation or model, or a larger budget.";
    }
    return text + " It would fit with " + change + ".";
}

}  // namespace drover::control
