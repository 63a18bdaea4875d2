#include "models/gguf_facts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string>
#include <utility>

#include "base/text.hpp"
#include "models/architectures.hpp"

namespace drover::models {

namespace {

constexpr std::uint32_t kLayersMax = 512;          // the engine's own limit
constexpr std::uint64_t kDimensionMax = 1U << 24;  // far above any width, head count or window
// What one layer may keep: products of hostile numbers must not overflow in a size computed later.
constexpr std::uint64_t kLayerElementsMax = 1U << 24;
constexpr std::uint64_t kLayerStateBytesMax = std::uint64_t{1} << 36;
constexpr std::uint32_t kPoolingRank = 4;
constexpr std::uint32_t kStateElementBytes = 4;  // recurrent states are f32

/// Tables that are looked up row by row and never multiplied with.
bool is_lookup_table(std::string_view name) {
    constexpr std::array<std::string_view, 4> kTables{"token_embd.weight",
                                                      "position_embd.weight",
                                                      "token_types.weight",
                                                      "per_layer_token_embd.weight"};
    return std::find(kTables.begin(), kTables.end(), name) != kTables.end();
}

/// Reads the hyper-parameters of one architecture.
class FactsReader {
  public:
    explicit FactsReader(std::span<const FilePart> parts)
        : parts_(parts), main_(parts.front().header) {}

    Result<ModelFacts> read() {
        DROVER_TRY(read_general());
        DROVER_TRY(read_shape());
        DROVER_TRY(read_layers());
        read_tokenizer();
        DROVER_TRY(read_weights());
        return std::move(facts_);
    }

  private:
    std::string key(std::string_view name) const {
        return facts_.architecture + "." + std::string(name);
    }

    /// A hyper-parameter of plausible size; `fallback` when the file does not have it.
    std::uint32_t number(std::string_view name, std::uint32_t fallback = 0) const {
        const auto value = main_.number(key(name));
        return value.has_value() && *value <= kDimensionMax ? static_cast<std::uint32_t>(*value)
                                                            : fallback;
    }

    /// A hyper-parameter that is one number for all layers or an array of one for each.
    std::uint32_t number_of(std::string_view name,
                            std::uint32_t layer,
                            std::uint32_t fallback) const {
        const gguf::Array* array = main_.array(key(name));
        if (array == nullptr) {
            return number(name, fallback);
        }
        if (layer >= array->numbers.size()) {
            return fallback;
        }
        const double value = array->numbers[layer];
        return value >= 0 && value <= static_cast<double>(kDimensionMax)
                   ? static_cast<std::uint32_t>(value)
                   : fallback;
    }

    std::uint32_t largest_of(std::string_view name) const {
        std::uint32_t largest = 0;
        for (std::uint32_t layer = 0; layer < blocks_; ++layer) {
            largest = std::max(largest, number_of(name, layer, 0));
        }
        return largest;
    }

    Status read_general() {
        const auto architecture = main_.text("general.architecture");
        if (!architecture.has_value() || architecture->empty()) {
            return invalid("GGUF file without general.architecture");
        }
        const std::string_view type = main_.text("general.type").value_or("model");
        if (type != "model" || *architecture == "clip") {
            return invalid("GGUF file holds no language model but '" +
                           std::string(type == "model" ? *architecture : type) + "'");
        }
        facts_.architecture = *architecture;
        arch_ = find_architecture(facts_.architecture);
        facts_.name = main_.text("general.name").value_or("");
        facts_.size_label = main_.text("general.size_label").value_or("");
        facts_.licence = main_.text("general.license").value_or("");
        const auto file_type = main_.number("general.file_type");
        if (file_type.has_value() && *file_type <= std::numeric_limits<std::uint32_t>::max()) {
            facts_.quantisation = file_type_name(static_cast<std::uint32_t>(*file_type));
        }
        return {};
    }

    Status read_shape() {
        blocks_ = number("block_count");
        if (blocks_ == 0 || blocks_ > kLayersMax) {
            return invalid("GGUF file with " + std::to_string(blocks_) + " layers");
        }
        facts_.context_length = number("context_length");
        facts_.embedding_length = number("embedding_length");
        if (facts_.context_length == 0 || facts_.embedding_length == 0) {
            return invalid("GGUF file without context_length or embedding_length");
        }
        facts_.output_length = number("embedding_length_out", facts_.embedding_length);
        facts_.head_count = largest_of("attention.head_count");
        facts_.expert_count = number("expert_count");
        facts_.feed_forward_length = largest_of("feed_forward_length");
        facts_.cache = arch_.cache;
        facts_.cache_exact = arch_.cache_exact;
        facts_.causal = main_.boolean(key("attention.causal")).value_or(!arch_.encoder);
        const std::uint32_t pooling = number("pooling_type");
        facts_.pooling = arch_.encoder || pooling != 0;
        facts_.pooling_named = pooling != 0;
        facts_.reranker = pooling == kPoolingRank;
        return {};
    }

    // ---- layers ----

    struct HeadLengths {
        std::uint64_t key = 0;
        std::uint64_t value = 0;
    };

    HeadLengths head_lengths(bool slides) const {
        const std::uint32_t heads = number_of("attention.head_count", 0, 0);
        const std::uint32_t even = heads == 0 ? 0 : facts_.embedding_length / heads;
        const std::uint32_t full_key = heads == 0 ? 0 : number("attention.key_length", even);
        const std::uint32_t full_value = heads == 0 ? 0 : number("attention.value_length", even);
        if (!slides) {
            return {full_key, full_value};
        }
        return {number("attention.key_length_swa", full_key),
                number("attention.value_length_swa", full_value)};
    }

    bool window_used() const {
        const auto named = main_.number(key("attention.sliding_window"));
        switch (arch_.sliding) {
            case SlidingWindow::never:
                return false;
            case SlidingWindow::if_named:
                return named.value_or(0) > 0;
            case SlidingWindow::always:
                // Llama 4 files switch it off with a zero; EXAONE 4 slides in its 64-layer size
                // only.
                return !(arch_.name == "llama4" && named == std::uint64_t{0}) &&
                       !(arch_.name == "exaone4" && blocks_ != 64);
        }
        DROVER_UNREACHABLE();
    }

    bool slides(std::uint32_t layer) const {
        if (facts_.sliding_window == 0 || layer >= trunk_) {
            return false;
        }
        if (main_.array(key("attention.sliding_window_pattern")) != nullptr) {
            return number_of("attention.sliding_window_pattern", layer, 0) != 0;
        }
        const std::uint32_t pattern = number("attention.sliding_window_pattern", arch_.pattern);
        if (pattern == 0) {
            return true;
        }
        return arch_.dense_first ? layer % pattern != 0 : layer % pattern < pattern - 1;
    }

    bool is_recurrent(std::uint32_t layer) const {
        if (arch_.cache == CacheKind::recurrent || arch_.name == "falcon-h1") {
            return true;
        }
        if (arch_.cache != CacheKind::hybrid || layer >= trunk_) {
            return false;
        }
        if (main_.metadata.count(key("attention.recurrent_layers")) != 0) {
            return number_of("attention.recurrent_layers", layer, 0) != 0;
        }
        if (const std::uint32_t interval = default_interval(); interval != 0) {
            return (layer + 1) % std::max(1U, number("full_attention_interval", interval)) != 0;
        }
        const bool no_heads = kv_heads(layer) == 0;
        return facts_.architecture.rfind("nemotron_h", 0) == 0
                   ? no_heads && number_of("feed_forward_length", layer, 0) == 0
                   : no_heads;
    }

    /// Architectures that name their attention layers by an interval instead of by head counts.
    std::uint32_t default_interval() const {
        if (arch_.name == "minimax-01") {
            return 8;
        }
        return arch_.name.rfind("qwen3", 0) == 0 || arch_.name == "qwen4exp" ? 4 : 0;
    }

    std::uint32_t kv_heads(std::uint32_t layer) const {
        return number_of(
            "attention.head_count_kv", layer, number_of("attention.head_count", layer, 0));
    }

    bool has_attention(std::uint32_t layer) const {
        if (arch_.cache == CacheKind::none || arch_.cache == CacheKind::recurrent) {
            return false;
        }
        if (layer >= trunk_ || layer >= shared_from_) {
            return false;
        }
        if (arch_.name == "falcon-h1") {
            return true;
        }
        if (facts_.architecture.rfind("nemotron_h", 0) == 0 &&
            number_of("feed_forward_length", layer, 0) != 0) {
            return false;
        }
        return !is_recurrent(layer);
    }

    /// Convolution and state of one recurrent layer for one sequence.
    std::uint64_t state_bytes() const {
        const std::uint64_t width = facts_.embedding_length;
        const std::uint64_t heads = number_of("attention.head_count", 0, 0);
        const std::uint64_t kernel = number("ssm.conv_kernel");
        std::uint64_t convolution = 0;
        std::uint64_t state = 0;
        if (const std::uint64_t wkv = number("wkv.head_size"); wkv != 0) {
            convolution = number("token_shift_count", 2) * width;
            state = width * wkv;
        } else if (const std::uint64_t length = number("shortconv.l_cache"); length != 0) {
            convolution = width * (length - 1);
        } else if (const std::uint64_t kda = number("kda.head_dim"); kda != 0) {
            convolution = 3 * (kernel > 0 ? kernel - 1 : 3) * heads * kda;
            state = kda * kda > kLayerStateBytesMax ? kda * kda : kda * kda * heads;
        } else if (arch_.name == "minimax-01") {
            const std::uint64_t head = head_lengths(false).key;
            state = head * head > kLayerStateBytesMax ? head * head : head * head * heads;
        } else {
            const std::uint64_t inner = number("ssm.inner_size");
            const std::uint64_t depth = number("ssm.state_size");
            const std::uint64_t groups = number("ssm.group_count");
            convolution = (kernel > 0 ? kernel - 1 : 0) * (inner + 2 * groups * depth);
            state = depth * inner;
        }
        // Each factor is below 2^24, so only products of three can be beyond any plausible size.
        return std::max(convolution, state) > kLayerStateBytesMax
                   ? kLayerStateBytesMax + 1
                   : (convolution + state) * kStateElementBytes;
    }

    void read_layer_ranges() {
        const std::uint32_t draft = std::min(number("nextn_predict_layers"), blocks_);
        // The layers of a multi-token-prediction head belong to a draft context, which is not used.
        trunk_ = draft < blocks_ ? blocks_ - draft : blocks_;
        shared_from_ = blocks_;
        if (arch_.name == "gemma3n") {
            shared_from_ = 20;
        } else if (arch_.name == "gemma4") {
            shared_from_ = blocks_ - std::min(number("attention.shared_kv_layers"), blocks_);
        }
    }

    /// How often the blocks are gone through, each time with a cache of its own.
    std::uint32_t passes() const {
        if (arch_.name == "nanbeige") {
            return std::max(1U, number("num_loops", 1));
        }
        return 1;
    }

    /// Sparse attention: small keys by which the positions are chosen that a token attends to.
    void add_indexer(std::uint32_t layer, LayerFacts& result) const {
        const bool chooses = number("attention.indexer.top_k", 1) != 0;
        const bool own = number_of("attention.indexer.types", layer, 1) != 0;
        if (!chooses || !own || result.sliding_window) {
            return;
        }
        result.index_elements = number("attention.indexer.key_length");
        if (arch_.name == "minimax-m3") {
            if (layer < number("leading_dense_block_count")) {
                result.index_elements = 0;
            } else {
                result.index_value_elements = head_lengths(false).value;
            }
        }
    }

    /// DeepSeek 4: a window of keys, and of each so many positions one joint key, which is made out
    /// of a state.
    void compress(std::uint32_t layer, LayerFacts& result) const {
        constexpr std::uint32_t kIndexed = 4;  // these layers have an indexer
        const std::uint64_t key = head_lengths(false).key;
        const std::uint64_t index = number("attention.indexer.key_length");
        result.value_elements = 0;
        result.compression = number_of("attention.compress_ratios", layer, 0);
        // Two tensors each, keys and scores. Where compressed positions overlap, both are doubled.
        std::uint64_t state = 0;
        if (result.compression == kIndexed) {
            result.index_elements = index;
            state = 2 * (2 * kIndexed) * (2 * key + 2 * index);
        } else {
            state = 2 * result.compression * key;
        }
        result.recurrent_state_bytes = state * kStateElementBytes;
    }

    LayerFacts attention_of(std::uint32_t layer) const {
        const bool window = slides(layer);
        const HeadLengths lengths = head_lengths(window);
        const std::uint64_t heads = kv_heads(layer);
        const bool mla = number("attention.key_length_mla") != 0;
        return {.key_elements = heads * lengths.key,
                .value_elements = mla ? 0 : heads * lengths.value,
                .sliding_window = window};
    }

    LayerFacts read_layer(std::uint32_t layer) const {
        LayerFacts result;
        if (has_attention(layer)) {
            result = attention_of(layer);
            add_indexer(layer, result);
        }
        result.sliding_window = slides(layer);
        if (arch_.name == "deepseek4" && layer < trunk_) {
            compress(layer, result);
        }
        if (layer < trunk_ && is_recurrent(layer)) {
            result.recurrent_state_bytes = state_bytes();
        }
        return result;
    }

    static Status check(const LayerFacts& layer) {
        const bool plausible =
            std::max({layer.key_elements, layer.value_elements, layer.index_elements}) <=
                kLayerElementsMax &&
            layer.recurrent_state_bytes <= kLayerStateBytesMax;
        return plausible ? Status() : invalid("GGUF file with implausibly large layers");
    }

    Status read_layers() {
        read_layer_ranges();
        if (window_used()) {
            const std::uint32_t named = number("attention.sliding_window", arch_.window);
            facts_.sliding_window = arch_.window_fixed || named == 0 ? arch_.window : named;
        }
        const std::uint32_t rounds = passes();
        if (rounds > kLayersMax / blocks_) {
            return invalid("GGUF file with too many layers");
        }
        for (std::uint32_t round = 0; round < rounds; ++round) {
            for (std::uint32_t layer = 0; layer < blocks_; ++layer) {
                const LayerFacts one = read_layer(layer);
                DROVER_TRY(check(one));
                facts_.layers.push_back(one);
            }
        }
        for (std::uint32_t layer = trunk_; layer < blocks_; ++layer) {
            facts_.draft_layers.push_back(attention_of(layer));
            DROVER_TRY(check(facts_.draft_layers.back()));
        }
        const std::uint64_t width =
            facts_.head_count *
            std::max(head_lengths(false).key, head_lengths(facts_.sliding_window != 0).key);
        facts_.attention_width = clamp_count(width);
        read_widths();
        if (arch_.name == "graniteswitch") {
            const HeadLengths lengths = head_lengths(false);
            facts_.layers.push_back({.key_elements = lengths.key, .value_elements = lengths.value});
        }
        return {};
    }

    /// What the engine computes with beside attention and feed-forward. How much of it is alive at
    /// once was found by measuring (bench/size_matrix.py).
    void read_widths() {
        const std::uint64_t heads = number("attention.head_count");
        const std::uint64_t inner = number("ssm.inner_size");
        const std::uint64_t kda = number("kda.head_dim");
        if (arch_.cache == CacheKind::recurrent || arch_.cache == CacheKind::hybrid) {
            const std::uint64_t grouped =
                2ULL * number("ssm.group_count") * number("ssm.state_size");
            const std::uint64_t shifted =
                number("wkv.head_size") != 0 ? facts_.embedding_length : 0;
            facts_.recurrent_width =
                clamp_count(std::max({inner + grouped, 3 * shifted, 3 * facts_.head_count * kda}));
        }
        const std::uint64_t index_heads = number("attention.indexer.head_count");
        facts_.index_width = clamp_count(index_heads * number("attention.indexer.key_length"));
        if (arch_.name == "qwen4exp") {
            const std::uint32_t ratio = number_of("attention.compress_ratios", 0, 1);
            facts_.index_scores = clamp_count(2 * index_heads / std::max(1U, ratio) + 1);
        } else if (facts_.index_width != 0) {
            facts_.index_scores = arch_.name == "minimax-m3" ? clamp_count(2 * index_heads + 1) : 2;
        }
        if (arch_.name == "gemma3n") {
            facts_.kept_states = 4 * blocks_;  // four predictions of each layer
        }
        facts_.score_heads = arch_.name == "minimax-01" ? clamp_count(3 * heads) : 0;
        facts_.flash_attention = arch_.flash_attention;
    }

    // ---- vocabulary and weights ----

    static std::uint32_t clamp_count(std::uint64_t count) {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, kDimensionMax));
    }

    void read_tokenizer() {
        const gguf::Array* tokens = main_.array("tokenizer.ggml.tokens");
        facts_.vocabulary = tokens != nullptr ? clamp_count(tokens->count) : number("vocab_size");
        const gguf::Array* merges = main_.array("tokenizer.ggml.merges");
        facts_.merges = merges != nullptr ? clamp_count(merges->count) : 0;
        facts_.chat_template = main_.text("tokenizer.chat_template").value_or("");
        const auto mentions = [&](std::string_view word) {
            return facts_.chat_template.find(word) != std::string::npos;
        };
        facts_.tools = mentions("tools") || mentions("tool_call") ||
                       main_.text("tokenizer.chat_template.tool_use").has_value();
        facts_.thinking = (mentions("<think>") && mentions("</think>")) ||
                          mentions("enable_thinking") || mentions("reasoning_effort");
        facts_.infill = main_.number("tokenizer.ggml.fim_pre_token_id").has_value() ||
                        main_.number("tokenizer.ggml.prefix_token_id").has_value();
    }

    static void add_matrix(const gguf::Tensor& tensor, MatrixBytes& group) {
        const Bytes bytes = as_bytes(tensor.bytes);
        group.total += bytes;
        group.rows_by_4 += tensor.shape[1] % 4 == 0 ? bytes : Bytes(0);
        group.rows_by_8 += tensor.shape[1] % 8 == 0 ? bytes : Bytes(0);
        group.rows_by_32 += tensor.shape[1] % 32 == 0 ? bytes : Bytes(0);
    }

    /// The layer that a tensor belongs to; nothing for the output and the tables.
    LayerFacts* layer_of(const gguf::Tensor& tensor) {
        constexpr std::string_view kPrefix = "blk.";
        if (!tensor.name.starts_with(kPrefix)) {
            return nullptr;
        }
        std::size_t layer = 0;
        const char* end = tensor.name.data() + tensor.name.size();
        const auto [stop, error] = std::from_chars(tensor.name.data() + kPrefix.size(), end, layer);
        const bool named = error == std::errc() && stop != end && *stop == '.';
        return named && layer < facts_.layers.size() ? &facts_.layers[layer] : nullptr;
    }

    void add_tensor(const gguf::Tensor& tensor) {
        WeightFacts& weights = facts_.weights;
        const Bytes bytes = as_bytes(tensor.bytes);
        weights.total += bytes;
        weights.largest_tensor = std::max(weights.largest_tensor, bytes);
        facts_.parameters += tensor.elements();
        LayerFacts* const layer = layer_of(tensor);
        const bool drafts = layer != nullptr && layer - facts_.layers.data() >= trunk_;
        weights.draft += drafts ? bytes : Bytes(0);
        if (layer != nullptr) {
            layer->weights += bytes;
        } else if (!is_lookup_table(tensor.name)) {
            weights.output += bytes;
        }
        if (is_lookup_table(tensor.name)) {
            weights.input_embedding += bytes;
        } else if (tensor.dimensions >= 2 && !drafts) {
            add_matrix(tensor, weights.matrices[std::string(tensor.type->name)]);
        }
        if (tensor.name == "blk.0.ffn_up.weight") {
            plain_up_ = tensor.shape[1] == facts_.feed_forward_length;
        }
        gate_ = gate_ || tensor.name.rfind("blk.0.ffn_gate", 0) == 0;
        if (tensor.name.ends_with(".ffn_down_exps.weight")) {
            expert_width_ = std::max(expert_width_, tensor.shape[0]);
        }
    }

    /// The experts that compute one token count together. Not every architecture names their width.
    void add_experts_width() {
        if (expert_width_ == 0) {
            return;
        }
        const std::uint64_t used = std::max(1U, largest_of("expert_used_count"));
        const std::uint64_t together = used * std::min(expert_width_, kDimensionMax) +
                                       number("expert_shared_feed_forward_length");
        facts_.feed_forward_length = static_cast<std::uint32_t>(std::min<std::uint64_t>(
            std::max<std::uint64_t>(facts_.feed_forward_length, together), kDimensionMax));
    }

    Status check_sum(std::uint64_t& sum, std::uint64_t more) const {
        if (more > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) - sum) {
            return invalid("GGUF tensors are impossibly large");
        }
        sum += more;
        return {};
    }

    Status read_weights() {
        const auto declared = main_.number("split.count").value_or(0);
        if (declared > 1 && declared != parts_.size()) {
            return invalid("model in " + std::to_string(declared) + " files, of which " +
                           std::to_string(parts_.size()) + " are there");
        }
        const gguf::Tensor* embedding = nullptr;
        bool output = false;
        std::uint64_t weight_sum = 0;
        std::uint64_t element_sum = 0;
        std::uint64_t file_sum = 0;
        for (const FilePart& part : parts_) {
            DROVER_TRY(check_sum(file_sum, part.file_bytes));
            facts_.header_size += as_bytes(part.header.data_offset);
            for (const gguf::Tensor& tensor : part.header.tensors) {
                DROVER_TRY(check_sum(weight_sum, tensor.bytes));
                DROVER_TRY(check_sum(element_sum, tensor.elements()));
                add_tensor(tensor);
                output = output || tensor.name == "output.weight";
                embedding = tensor.name == "token_embd.weight" ? &tensor : embedding;
            }
        }
        facts_.file_size = as_bytes(file_sum);
        add_experts_width();
        facts_.feed_forward_gated = gate_ || !plain_up_;
        if (weight_sum == 0) {
            return invalid("GGUF file without tensors (a vocabulary only?)");
        }
        if (!output && embedding != nullptr && !arch_.encoder) {
            facts_.weights.tied_type = embedding->type->name;
            add_matrix(*embedding, facts_.weights.tied_output);
        }
        if (facts_.vocabulary == 0 && embedding != nullptr) {
            facts_.vocabulary = clamp_count(embedding->shape[1]);
        }
        if (facts_.quantisation.empty()) {
            facts_.quantisation = dominant_type();
        }
        return {};
    }

    /// For files that do not name their quantisation: the type that holds the most bytes.
    std::string dominant_type() const {
        std::string best;
        Bytes most;
        for (const auto& [type, group] : facts_.weights.matrices) {
            if (group.total > most) {
                most = group.total;
                best = type;
            }
        }
        std::transform(best.begin(), best.end(), best.begin(), [](char c) {
            return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        });
        return best;
    }

    std::span<const FilePart> parts_;
    const gguf::Header& main_;
    Architecture arch_;
    ModelFacts facts_;
    bool plain_up_ = false;  ///< the first block's matrix up has the width of one
    bool gate_ = false;
    std::uint64_t expert_width_ = 0;  ///< of one expert's hidden layer, from its matrix down
    std::uint32_t blocks_ = 0;
    std::uint32_t trunk_ = 0;        ///< layers before those of a multi-token-prediction head
    std::uint32_t shared_from_ = 0;  ///< layers from here on use the cache of earlier ones
};

}  // namespace

Result<ModelFacts> facts_from(std::span<const FilePart> parts) {
    DROVER_ASSERT(!parts.empty());
    return FactsReader(parts).read();
}

}  // namespace drover::models
