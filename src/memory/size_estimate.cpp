#include "memory/size_estimate.hpp"

#include <algorithm>

#include "models/ggml_types.hpp"

namespace drover::memory {

namespace {

using models::CacheKind;
using models::LayerFacts;
using models::ModelFacts;

// The engine rounds the positions of each sequence up to this.
constexpr std::uint64_t kCellStep = 256;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kFloat = 4;
constexpr std::uint64_t kHalf = 2;

// ---- fitted to measurements of the engine on Linux x86-64 (bench/memory_matrix.py) ----

// Program text, libraries, stacks and what the allocator keeps, without vocabulary: 11.9 MiB of
// file pages and 2.8 MiB of heap measured. Builds with GPU libraries are larger; they are measured
// after load.
constexpr Bytes kProcess{17 << 20};
constexpr std::uint64_t kBytesPerToken = 180;  // of the vocabulary: 174 measured
constexpr std::uint64_t kBytesPerMerge = 230;  // 212 measured
constexpr std::uint64_t kBytesPerCell = 128;   // book-keeping of a KV cell, set nodes included
constexpr Bytes kPerRequest{512 << 10};        // thread, HTTP buffers, slot
// Once it serves: JSON, templates, what fragments.
constexpr Bytes kServing{6 << 20};
constexpr Bytes kServingEmbeddings{10 << 20};    // bodies hold many inputs: 7.5 MiB measured
constexpr std::uint64_t kCandidateBytes = 12;    // a slot's candidates: one for each token
constexpr std::uint64_t kProbabilityBytes = 16;  // log-probabilities, sorted
constexpr std::uint64_t kGrammarBytes = 250;     // a grammar's view of each token: 246 measured
// Activations: hidden states alive at once, beside the widest layer's own.
constexpr std::uint64_t kHiddenStates = 4;
constexpr std::uint64_t kGatedWidths = 3;      // up, gate and their product
constexpr std::uint64_t kAttentionWidths = 3;  // queries, outputs, and a copy of either
constexpr std::uint64_t kRecurrentWidths = 5;
constexpr std::uint64_t kIndexWidths = 3;   // an indexer's queries, as they are rotated and scaled
constexpr std::uint64_t kExpertStates = 2;  // each expert's input and output
constexpr std::uint64_t kExpertWeights = 4;
constexpr std::uint64_t kStateCopies = 4;
constexpr std::uint64_t kHoles = 20;  // a twentieth, between tensors of other lifetimes

// ---- measured on an H100 with driver 580 and CUDA 13.0 (bench/gpu.py) ----

// Context, kernels, the allocator's pools: 477 to 586 MiB when ready, 10 to 38 more once it serves.
constexpr Bytes kGpuContext = 624_MiB;
constexpr Bytes kGpuWorkspace = 48_MiB;  // of it, once it serves
// Attention by matrix products loads cuBLAS: 172 to 226 MiB.
constexpr Bytes kGpuMatrices = 240_MiB;
// In host memory: the driver, its libraries, pinned buffers: 262 to 330 MiB; cuBLAS: 163 to 239.
constexpr Bytes kGpuHost = 352_MiB;
constexpr Bytes kGpuHostMatrices = 256_MiB;
// Heads that are smaller have no fused attention on NVIDIA's GPUs.
constexpr std::uint64_t kFusedHeadMin = 40;

std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
    return (value + step - 1) / step * step;
}

/// A count that stops at a limit instead of overflowing: hostile headers may name anything, and
/// what is beyond the limit fits nowhere anyway. Sums of all parts stay within 63 bits.
class Amount {
  public:
    constexpr Amount(std::uint64_t count)  // NOLINT(google-explicit-constructor): it is a number
        : count_(std::min(count, kLimit)) {}

    friend constexpr Amount operator+(Amount a, Amount b) { return {a.count_ + b.count_}; }
    friend constexpr Amount operator*(Amount a, Amount b) {
        if (b.count_ != 0 && a.count_ > kLimit / b.count_) {
            return {kLimit};
        }
        return {a.count_ * b.count_};
    }
    constexpr Amount& operator+=(Amount other) { return *this = *this + other; }
    constexpr Amount& operator*=(Amount other) { return *this = *this * other; }
    constexpr auto operator<=>(const Amount&) const = default;
    constexpr Amount part(std::uint64_t divisor) const { return {count_ / divisor}; }
    constexpr Bytes bytes() const { return Bytes(static_cast<std::int64_t>(count_)); }

  private:
    static constexpr std::uint64_t kLimit = std::uint64_t{1} << 58;

    std::uint64_t count_;
};

/// Sizes of caches and batches as the engine derives them from its arguments.
struct Shape {
    std::uint64_t cells = 0;          ///< of one sequence, in layers that keep everything
    std::uint64_t sliding_cells = 0;  ///< of one sequence, in layers with a window
    std::uint64_t batch = 0;          ///< tokens computed at once
    std::uint64_t sequences = 1;
    std::uint64_t outputs = 0;  ///< tokens of a batch whose logits are computed
};

/// What the engine makes of the settings.
SizeSettings possible(const ModelFacts& facts, SizeSettings settings) {
    settings.flash_attention = settings.flash_attention && facts.flash_attention;
    return settings;
}

Shape shape_of(const ModelFacts& facts, const SizeSettings& settings) {
    Shape shape;
    shape.sequences = std::max(1U, settings.parallel);
    const std::uint64_t all =
        round_up(std::uint64_t{settings.context} * shape.sequences, kCellStep);
    shape.cells = round_up(all / shape.sequences, kCellStep);
    const std::uint64_t batch = std::max(1U, settings.batch);
    shape.batch = facts.causal ? std::min(all, batch) : batch;
    shape.sliding_cells =
        round_up(std::min(shape.cells, facts.sliding_window + shape.batch), kCellStep);
    shape.outputs = settings.embeds ? shape.batch : std::min(shape.batch, shape.sequences);
    return shape;
}

/// Bytes of one cell's row. Rows of quantised types are whole blocks; the engine refuses others.
Amount row_bytes(const std::string& type_name, std::uint64_t elements) {
    const models::TensorType* type = models::find_tensor_type(type_name);
    if (type == nullptr) {
        return Amount(elements) * kFloat;
    }
    return type->row_bytes(round_up(elements, type->block_elements)).value_or(0);
}

/// Bytes of one cell in one layer.
Amount cell_bytes(const LayerFacts& layer,
                  std::uint64_t widest_value,
                  const SizeSettings& settings) {
    if (layer.key_elements == 0) {
        return 0;
    }
    // Without flash attention V is kept transposed, and every layer's is as wide as the widest.
    const bool widened = !settings.flash_attention && layer.value_elements != 0;
    const Amount cell =
        row_bytes(settings.cache_type_k, layer.key_elements) +
        row_bytes(settings.cache_type_v, widened ? widest_value : layer.value_elements);
    return layer.compression != 0
               ? cell
               : cell + row_bytes(settings.cache_type_k, layer.index_elements) +
                     row_bytes(settings.cache_type_v, layer.index_value_elements);
}

/// Bytes of one layer's cache for one sequence.
Amount layer_cache(const LayerFacts& layer,
                   std::uint64_t widest_value,
                   const SizeSettings& settings,
                   const Shape& shape) {
    const Amount cells = layer.sliding_window ? shape.sliding_cells : shape.cells;
    const Amount whole = cell_bytes(layer, widest_value, settings) * cells;
    if (layer.compression == 0) {
        return whole;
    }
    const Amount joint =
        round_up((shape.cells + layer.compression - 1) / layer.compression, kCellStep);
    return whole + joint * (row_bytes(settings.cache_type_k, layer.key_elements) +
                            row_bytes(settings.cache_type_k, layer.index_elements));
}

struct CacheSizes {
    Amount full = 0;       ///< layers that keep everything, all sequences
    Amount sliding = 0;    ///< layers with a window, all sequences
    Amount recurrent = 0;  ///< all sequences
};

std::uint64_t widest_value_of(const ModelFacts& facts) {
    std::uint64_t widest = 0;
    for (const LayerFacts& layer : facts.layers) {
        widest = std::max(widest, layer.value_elements);
    }
    return widest;
}

CacheSizes cache_sizes(const ModelFacts& facts, const SizeSettings& settings, const Shape& shape) {
    const std::uint64_t widest = widest_value_of(facts);
    CacheSizes sizes;
    for (const LayerFacts& layer : facts.layers) {
        const Amount cache = layer_cache(layer, widest, settings, shape);
        (layer.sliding_window ? sizes.sliding : sizes.full) += cache;
        sizes.recurrent += layer.recurrent_state_bytes;
    }
    sizes.full *= shape.sequences;
    sizes.sliding *= shape.sequences;
    sizes.recurrent *= shape.sequences;
    return sizes;
}

/// Whether there are KV cells at all.
bool has_cells(const ModelFacts& facts) {
    return facts.cache == CacheKind::attention || facts.cache == CacheKind::hybrid;
}

/// Floats of activations for each token of a batch: the most that is alive at once in a layer.
Amount activation_floats(const ModelFacts& facts) {
    const Amount hidden = Amount(facts.embedding_length) * (kHiddenStates + facts.kept_states);
    const Amount experts = Amount(facts.experts_used) * facts.embedding_length * kExpertStates;
    const Amount forward =
        Amount(facts.feed_forward_length) * (facts.feed_forward_gated ? kGatedWidths : 1) +
        experts + Amount(facts.expert_count) * kExpertWeights;
    std::uint64_t key_value = 0;
    for (const LayerFacts& layer : facts.layers) {
        key_value = std::max(key_value, layer.key_elements + layer.value_elements);
    }
    const Amount attention = Amount(facts.attention_width) * kAttentionWidths + key_value +
                             Amount(facts.index_width) * kIndexWidths;
    const Amount recurrent = Amount(facts.recurrent_width) * kRecurrentWidths;
    return hidden + std::max({forward, attention, recurrent});
}

/// Whether some layer attends to the whole context; the others only have a window, if anything.
bool looks_at_all(const ModelFacts& facts) {
    const bool keeps = has_cells(facts);
    return std::any_of(facts.layers.begin(), facts.layers.end(), [keeps](const LayerFacts& layer) {
        return layer.compression != 0 ||
               (!layer.sliding_window && (layer.key_elements != 0 || !keeps));
    });
}

/// Masks, and without flash attention the scores of all heads.
Amount attention_size(const ModelFacts& facts, const SizeSettings& settings, const Shape& shape) {
    if (facts.cache == CacheKind::recurrent) {
        return 0;
    }
    const bool flash = settings.flash_attention;
    const Amount everything = has_cells(facts) ? shape.cells : shape.batch;
    const Amount positions = looks_at_all(facts) ? everything : shape.sliding_cells;
    const Amount window =
        facts.sliding_window == 0 ? 0 : (has_cells(facts) ? shape.sliding_cells : shape.batch);
    const Amount mask = (positions + window) * shape.batch * (flash ? kHalf : kFloat);
    const Amount chosen = everything * shape.batch * facts.index_scores * kFloat;
    const Amount pairs = Amount(shape.batch) * shape.batch * facts.score_heads * kFloat;
    const Amount scores = flash ? 0 : positions * shape.batch * facts.head_count * kFloat;
    return mask + chosen + pairs + scores;
}

Amount compute_size(const ModelFacts& facts, const SizeSettings& settings, const Shape& shape) {
    const Amount activations = activation_floats(facts) * shape.batch * kFloat;
    Amount total = activations + activations.part(kHoles);
    total += attention_size(facts, settings, shape);
    if (facts.causal) {
        total += Amount(shape.outputs) * facts.vocabulary * kFloat;
    }
    std::uint64_t largest_state = 0;
    for (const LayerFacts& layer : facts.layers) {
        largest_state = std::max(largest_state, layer.recurrent_state_bytes);
    }
    total += Amount(largest_state) * shape.sequences * kStateCopies;
    // Scratch: a batch's inputs in the type that the weights are multiplied with.
    const std::uint64_t widest =
        std::max({facts.feed_forward_length, facts.attention_width, facts.embedding_length});
    return total + Amount(widest) * shape.batch * kHalf;
}

Amount output_size(const ModelFacts& facts, const SizeSettings& settings, const Shape& shape) {
    const std::uint64_t rows = std::max(shape.outputs, shape.sequences);
    const Amount row = Amount(facts.vocabulary) + (settings.embeds ? facts.output_length : 0U);
    return row * rows * kFloat;
}

/// What the host hands to GPUs for each batch: embedded tokens and masks.
Amount input_size(const ModelFacts& facts, const SizeSettings& settings, const Shape& shape) {
    const Amount mask = Amount(shape.cells + shape.sliding_cells) * shape.batch;
    return Amount(facts.embedding_length) * shape.batch * kFloat +
           mask * (settings.flash_attention ? kHalf : kFloat);
}

/// Whether attention is one operation on a GPU.
bool fuses_attention(const ModelFacts& facts, const SizeSettings& settings) {
    const std::uint64_t heads = std::max<std::uint64_t>(facts.head_count, 1);
    return settings.flash_attention && facts.attention_width / heads >= kFusedHeadMin;
}

/// Layers for several tokens at once stay in the file unless they are used.
Bytes weights_read(const ModelFacts& facts, const SizeSettings& settings) {
    return settings.drafts ? facts.weights.total : facts.weights.total - facts.weights.draft;
}

/// The model's own layers for several tokens at once have a context of their own beside it, whose
/// cache is not quantised unless somebody asks for it.
void add_draft_context(const ModelFacts& facts, SizeSettings settings, SizeEstimate& size) {
    settings.cache_type_k = settings.cache_type_v = "f16";
    const Shape shape = shape_of(facts, settings);
    Amount cache = 0;
    for (const LayerFacts& layer : facts.draft_layers) {
        cache += layer_cache(layer, widest_value_of(facts), settings, shape);
    }
    size.kv_cache += (cache * shape.sequences).bytes();
    size.compute_buffer += compute_size(facts, settings, shape).bytes();
    size.output_buffer += output_size(facts, settings, shape).bytes();
}

void add_weights(const ModelFacts& facts, const SizeSettings& settings, SizeEstimate& size) {
    models::RepackedWeights repacked;
    if (settings.repack) {
        repacked = models::repacked_weights(facts.weights, settings.cpu);
    }
    const Bytes read = weights_read(facts, settings);
    const Amount stored = round_up(static_cast<std::uint64_t>(read.count()), kPage);
    if (settings.map_weights) {
        size.weights_mapped = stored.bytes();
        size.weights_anonymous = repacked.copies;
    } else {
        size.weights_anonymous = stored.bytes() - repacked.from_file + repacked.copies;
    }
}

Bytes process_size(const ModelFacts& facts, const Shape& shape) {
    Amount cells = 0;
    if (has_cells(facts)) {
        cells = Amount(shape.cells) + (facts.sliding_window != 0 ? shape.sliding_cells : 0);
        cells *= shape.sequences;
    }
    const Amount tables = Amount(facts.vocabulary) * kBytesPerToken +
                          Amount(facts.merges) * kBytesPerMerge + cells * kBytesPerCell;
    return kProcess + tables.bytes() + kPerRequest * static_cast<std::int64_t>(shape.sequences);
}

Bytes sampling_size(const ModelFacts& facts, const SizeSettings& settings, const Shape& shape) {
    if (settings.embeds) {
        return kServingEmbeddings;
    }
    const Amount per_token =
        Amount(kCandidateBytes) * shape.sequences + kProbabilityBytes + kGrammarBytes;
    return kServing + (per_token * facts.vocabulary).bytes();
}

}  // namespace

Bytes SizeEstimate::resident_after_load() const {
    return weights_mapped + weights_anonymous + caches() + process;
}

Bytes SizeEstimate::growth() const {
    return output_buffer + compute_buffer + sampling + checkpoints + prompt_cache;
}

SizeEstimate estimate_size(const ModelFacts& facts, const SizeSettings& asked) {
    const SizeSettings settings = possible(facts, asked);
    const Shape shape = shape_of(facts, settings);
    const CacheSizes caches = cache_sizes(facts, settings, shape);
    SizeEstimate size;
    add_weights(facts, settings, size);
    size.kv_cache = (caches.full + caches.sliding).bytes();
    size.recurrent_state = caches.recurrent.bytes();
    size.output_buffer = output_size(facts, settings, shape).bytes();
    size.compute_buffer = compute_size(facts, settings, shape).bytes();
    size.sampling = sampling_size(facts, settings, shape);
    // What cannot be rolled back is saved whole: windows and states, of each sequence.
    size.checkpoints = ((caches.sliding + caches.recurrent) * settings.checkpoints).bytes();
    size.prompt_cache = settings.prompt_cache;
    if (settings.drafts && !facts.draft_layers.empty()) {
        add_draft_context(facts, settings, size);
    }
    size.process = process_size(facts, shape);
    return size;
}

LayerSizes layer_sizes(const ModelFacts& facts,
                       const SizeSettings& asked,
                       const models::Companions& beside) {
    const SizeSettings settings = possible(facts, asked);
    const SizeEstimate size = estimate_size(facts, settings);
    const Shape shape = shape_of(facts, settings);
    const std::uint64_t widest = widest_value_of(facts);
    const models::WeightFacts& weights = facts.weights;
    // A tied table is there twice: where it is looked up, and where it is multiplied with.
    const Bytes output = weights.output + weights.tied_output.total;
    const Bytes total = weights_read(facts, settings);
    const Bytes in_layers = total - weights.input_embedding + weights.tied_output.total;
    // Layers on the host share in the copies that are made there.
    const Bytes copies = size.weights_mapped + size.weights_anonymous - total;
    const double more = in_layers > Bytes(0) ? static_cast<double>(copies.count()) /
                                                   static_cast<double>(in_layers.count())
                                             : 0;
    const auto on_host = [more](Bytes bytes) {
        return Bytes(static_cast<std::int64_t>(static_cast<double>(bytes.count()) * (1 + more)));
    };
    LayerSizes sizes;
    const std::size_t trunk = facts.layers.size() - facts.draft_layers.size();
    for (const LayerFacts& layer : facts.layers) {
        const bool unread = !settings.drafts && sizes.layers.size() >= trunk;
        const Bytes read = unread ? Bytes(0) : layer.weights;
        const Amount kept =
            layer_cache(layer, widest, settings, shape) + layer.recurrent_state_bytes;
        const Bytes cache = (kept * shape.sequences).bytes();
        sizes.layers.push_back({read + cache, on_host(read) + cache});
    }
    sizes.layers.push_back({output, on_host(weights.output)});
    const bool fused = fuses_attention(facts, settings);
    const Bytes inputs = std::min(input_size(facts, settings, shape).bytes(), size.compute_buffer);
    const Bytes libraries = fused ? Bytes(0) : kGpuHostMatrices;
    sizes.computing = size.compute_buffer - inputs;
    sizes.host_growth = size.growth() - sizes.computing + libraries;
    sizes.host = weights.input_embedding + size.process + kGpuHost + sizes.host_growth;
    sizes.gpu_growth = kGpuWorkspace + (fused ? Bytes(0) : kGpuMatrices);
    sizes.gpu = kGpuContext - kGpuWorkspace + sizes.gpu_growth + size.compute_buffer;
    // With several GPUs the inputs of a batch are kept in several copies, to compute in parallel.
    sizes.several = size.compute_buffer;
    sizes.first = beside.total();
    sizes.all_on_host = size.total() + beside.total();
    sizes.all_on_host_growth = size.growth() + beside.growth();
    return sizes;
}

std::optional<std::uint32_t> largest_context_that_fits(const ModelFacts& facts,
                                                       SizeSettings settings,
                                                       Bytes available) {
    const auto fits = [&](std::uint64_t steps) {
        settings.context = static_cast<std::uint32_t>(steps * kCellStep);
        if (settings.embeds) {
            settings.batch = settings.context;
        }
        return estimate_size(facts, settings).total() <= available;
    };
    std::uint64_t low = 0;
    std::uint64_t high = facts.context_length / kCellStep;
    while (low < high) {
        const std::uint64_t middle = (low + high + 1) / 2;
        if (fits(middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if (low == 0) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(low * kCellStep);
}

Duration expected_load_time(const ModelFacts& facts,
                            const SizeEstimate& size,
                            bool cached,
                            const LoadRates& rates) {
    const auto over = [](Bytes amount, double rate) {
        return static_cast<double>(amount.count()) / rate;
    };
    double seconds = over(size.weights_anonymous, rates.copy) +
                     over(size.kv_cache + size.recurrent_state, rates.clear) +
                     static_cast<double>(facts.vocabulary) / rates.vocabulary;
    if (!cached) {
        seconds += over(facts.file_size, rates.disk);
    }
    return rates.start +
           std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace drover::memory
