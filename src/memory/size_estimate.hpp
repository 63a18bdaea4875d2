// How many bytes a model will take, from its header and settings alone, before anything is loaded.
// Weights and KV cache are computed as llama.cpp v0.5.0 allocates them; buffers and overheads are
// upper bounds fitted to measurements (docs/memory.md has the table); what GPUs take beside them is
// a guess. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "models/model_facts.hpp"
#include "models/repack.hpp"

namespace drover::memory {

/// The settings that sizes depend on.
struct SizeSettings {
    std::uint32_t context = 4096;  ///< tokens of one request
    std::uint32_t parallel = 1;    ///< requests at once, each with a context of its own
    std::uint32_t batch = 512;     ///< physical batch, tokens
    std::string cache_type_k = "f16";
    std::string cache_type_v = "f16";
    bool flash_attention = true;  ///< false only when it is switched off
    bool embeds = false;          ///< serves embeddings or reranking
    bool repack = true;
    bool map_weights = true;  ///< weights stay in the mapped file; else they are read into memory
    models::CpuFeatures cpu;  ///< decides what is repacked
    Bytes prompt_cache;
    std::uint32_t checkpoints = 0;  ///< saved states of sliding and recurrent layers, each request
    bool drafts = false;            ///< its own layers for several tokens at once are used, too
};

/// The parts of an instance's size.
struct SizeEstimate {
    Bytes weights_mapped;     ///< pages of the model file
    Bytes weights_anonymous;  ///< repacked copies, and weights that were read
    Bytes kv_cache;
    Bytes recurrent_state;
    Bytes output_buffer;   ///< logits and embeddings of a batch
    Bytes compute_buffer;  ///< activations of a batch, masks, scratch
    Bytes sampling;        ///< candidates, probabilities, grammars
    Bytes checkpoints;
    Bytes prompt_cache;
    Bytes process;  ///< program text, libraries, vocabulary, threads, HTTP

    /// What is there when the engine answers its first health check.
    Bytes resident_after_load() const;
    /// What may still come when it serves.
    Bytes growth() const;
    /// The most it should ever take.
    Bytes total() const { return resident_after_load() + growth(); }
    /// Caches that are there after the load, unless the engine lets the kernel clear them when they
    /// are first touched: then they come when it serves.
    Bytes caches() const { return kv_cache + recurrent_state; }
    /// What it keeps when it sleeps: its mapped file stays in the page cache, which is not charged,
    /// and so do its other weights where the engine has put them into a file.
    Bytes asleep(bool weights_in_file) const {
        return (weights_in_file ? Bytes(0) : weights_anonymous) + process;
    }
};

SizeEstimate estimate_size(const models::ModelFacts& facts, const SizeSettings& settings);

/// What a model's parts take, so that they can lie on different devices.
struct LayerSizes {
    struct Layer {
        Bytes on_gpu;   ///< weights, cache, state
        Bytes on_host;  ///< the same, with copies of repacked weights
    };
    std::vector<Layer> layers;  ///< in the order of computing; the last one is the output
    Bytes host;                 ///< in host memory wherever the layers are
    Bytes host_growth;          ///< of it, what comes only when it serves
    Bytes computing;            ///< more of both when some layers are on the host
    Bytes gpu;                  ///< on every GPU that has layers
    Bytes gpu_growth;           ///< of it, what comes only when it serves
    Bytes several;              ///< more on each of several GPUs
    Bytes first;                ///< on the first of them
    Bytes all_on_host;          ///< when no GPU has any: SizeEstimate::total()
    Bytes all_on_host_growth;
};

/// The parts of estimate_size(), and what lies beside the model: with the first layers on a GPU, if
/// there are any.
LayerSizes layer_sizes(const models::ModelFacts& facts,
                       const SizeSettings& settings,
                       const models::Companions& beside = {});

/// The largest context, in steps of 256 tokens and at most the trained one, with which the model
/// fits into `available`; nothing when not even 256 tokens do. For an embedding model the batch
/// follows.
std::optional<std::uint32_t> largest_context_that_fits(const models::ModelFacts& facts,
                                                       SizeSettings settings,
                                                       Bytes available);

/// How fast this machine loads.
struct LoadRates {
    double disk = 1.0e9;        ///< bytes a second from the disk, when the file is not cached
    double copy = 4.0e9;        ///< bytes a second from the page cache into memory, repacked or not
    double clear = 3.0e9;       ///< bytes a second when a KV cache is allocated and cleared
    double vocabulary = 1.5e6;  ///< tokens a second when the tokenizer is built
    Duration start = std::chrono::milliseconds(60);  ///< process, libraries, first health check
};

/// Expected time from spawn to ready: what an eviction costs. `cached`: the file is in the page
/// cache.
Duration expected_load_time(const models::ModelFacts& facts,
                            const SizeEstimate& size,
                            bool cached,
                            const LoadRates& rates = {});

}  // namespace drover::memory
