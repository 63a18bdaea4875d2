// What a GGUF header says about a model, as far as others need it. Plain values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace drover::models {

/// One transformer block as far as its cache is concerned. All zero: it keeps nothing (shares the
/// cache of an earlier layer, feed-forward only, or used only by a draft context).
struct LayerFacts {
    std::uint64_t key_elements = 0;    ///< per position, all KV heads together
    std::uint64_t value_elements = 0;  ///< per position; 0 with MLA: only a compressed K is kept
    std::uint64_t index_elements = 0;  ///< per position, keys of a sparse-attention indexer
    bool sliding_window = false;       ///< keeps only `ModelFacts::sliding_window` positions
    std::uint64_t recurrent_state_bytes = 0;  ///< per sequence, independent of the context
    Bytes weights{};                          ///< as stored
    std::uint64_t index_value_elements = 0;   ///< beside the indexer's keys; allocated, not used
    /// Not 0: it keeps joint keys of so many positions each, of the whole context, and the
    /// indexer's keys only so.
    std::uint32_t compression = 0;
};

/// Matrix weights of one tensor type, by how many rows the matrices have: kernels that work on
/// repacked weights interleave a fixed number of rows.
struct MatrixBytes {
    Bytes total;
    Bytes rows_by_4;  ///< of these, with a number of rows that 4 divides
    Bytes rows_by_8;
    Bytes rows_by_32;
};

/// Where groups of tensors end up and how large they are.
struct WeightFacts {
    Bytes total;            ///< all tensors, as stored
    Bytes input_embedding;  ///< tables that are looked up by row; never repacked
    Bytes output;           ///< what is neither such a table nor a layer's
    /// Matrices of the blocks and the output, by ggml type name.
    std::map<std::string, MatrixBytes> matrices;
    /// Not empty: there is no output matrix; the embedding table, of this type, serves as one too.
    std::string tied_type;
    MatrixBytes tied_output;
    Bytes largest_tensor;
    Bytes draft;  ///< of the total: layers that are read only when they are used (MTP)
};

/// How a model keeps what it has read.
enum class CacheKind {
    none,       ///< an encoder: the whole input in one batch
    attention,  ///< K and V for each position
    recurrent,  ///< a state for each sequence
    hybrid,     ///< both
};

/// What the header of one model (all files of a split one) says.
struct ModelFacts {
    std::string architecture;  ///< "llama", "gemma3", "bert", ...
    std::string name;          ///< general.name
    std::string size_label;    ///< general.size_label: "135M"
    std::string quantisation;  ///< "Q4_K_M", from general.file_type
    std::string licence;
    std::uint64_t parameters = 0;
    Bytes file_size;    ///< all files
    Bytes header_size;  ///< everything before the tensor data, all files
    WeightFacts weights;
    std::uint32_t context_length = 0;  ///< trained context, tokens
    std::uint32_t embedding_length = 0;
    std::uint32_t output_length = 0;  ///< of an embedding; differs from embedding_length rarely
    std::uint32_t feed_forward_length = 0;  ///< largest of all layers, active experts together
    bool feed_forward_gated = true;         ///< two matrices up, whose outputs are multiplied
    std::uint32_t attention_width = 0;  ///< heads x head length of queries, largest of all layers
    std::uint32_t recurrent_width = 0;  ///< inputs of a recurrent layer's convolution
    std::uint32_t index_width = 0;      ///< queries of a sparse-attention indexer, all heads
    std::uint32_t index_scores = 0;     ///< of it, numbers for each position that is looked at
    std::uint32_t kept_states = 0;      ///< hidden states alive from the first layer to the last
    std::uint32_t score_heads = 0;      ///< heads with scores for each pair of tokens of a batch
    bool flash_attention = true;        ///< false: the engine cannot, and computes all scores
    std::uint32_t head_count = 0;       ///< largest of all layers
    std::uint32_t vocabulary = 0;
    std::uint32_t merges = 0;  ///< BPE merges of the tokenizer
    std::uint32_t expert_count = 0;
    std::uint32_t experts_used = 0;    ///< by one token, largest of all layers
    std::uint32_t sliding_window = 0;  ///< 0: none
    CacheKind cache = CacheKind::attention;
    /// False: an architecture whose cache has parts that are only approximated here.
    bool cache_exact = true;
    std::vector<LayerFacts> layers;
    /// What those of its layers keep that guess several tokens at once (MTP), where they are used.
    std::vector<LayerFacts> draft_layers;
    bool causal = true;
    bool pooling = false;        ///< made for embeddings: has a pooling type or is an encoder
    bool pooling_named = false;  ///< the file says which pooling, so that nobody has to guess
    bool reranker = false;       ///< pooling type "rank"
    std::string chat_template;   ///< Jinja; empty: none
    bool tools = false;          ///< the chat template shows tools to the model
    bool thinking = false;       ///< the chat template knows thoughts before the answer
    bool infill = false;         ///< the vocabulary has tokens for text before and after a gap
};

/// Bytes beside a model's own.
struct Companions {
    Bytes adapters;           ///< LoRA weights
    Bytes projector;          ///< weights of a vision or audio tower
    Bytes projector_buffers;  ///< to compute what it is shown; they come with the first picture
    Bytes draft;              ///< a model that guesses tokens: weights and cache
    Bytes draft_buffers;

    /// What is there after the load; what comes when it serves.
    Bytes resident() const { return adapters + projector + draft; }
    Bytes growth() const { return projector_buffers + draft_buffers; }
    Bytes total() const { return resident() + growth(); }
};

}  // namespace drover::models
