// What a GGUF header says about a model, as far as others need it. Plain values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace drover::models {

/// One transformer block as far as its cache is concerned.
struct LayerFacts {
    std::uint32_t kv_heads = 0;      ///< 0: keeps no KV (recurrent or shared)
    std::uint32_t key_length = 0;    ///< elements per head
    std::uint32_t value_length = 0;  ///< 0 with MLA: only a compressed K is kept
    bool sliding_window = false;     ///< keeps only `ModelFacts::sliding_window` positions
    std::uint64_t recurrent_state_bytes = 0;  ///< per sequence, independent of the context
};

/// Where a group of tensors ends up and how large it is.
struct WeightFacts {
    Bytes total;                ///< all tensors, as stored
    Bytes input_embedding;      ///< the token embedding table (stays on the CPU)
    std::map<std::string, Bytes> by_type;  ///< matrix weights of the blocks and the output, by ggml type
    bool tied_output = false;   ///< no output matrix of its own: the embedding table serves as one
};

/// What the header of one model (all files of a split one) says.
struct ModelFacts {
    std::string architecture;   ///< "llama", "gemma3", "bert", ...
    std::string name;           ///< general.name
    std::string quantisation;   ///< "Q4_K_M", from general.file_type
    std::string licence;
    std::uint64_t parameters = 0;
    Bytes file_size;            ///< all files
    WeightFacts weights;
    std::uint32_t context_length = 0;   ///< trained context, tokens
    std::uint32_t embedding_length = 0;
    std::uint32_t feed_forward_length = 0;
    std::uint32_t head_count = 0;
    std::uint32_t vocabulary = 0;
    std::uint32_t sliding_window = 0;   ///< 0: none
    std::vector<LayerFacts> layers;
    bool pooling = false;        ///< made for embeddings: has a pooling type or is an encoder
    bool reranker = false;       ///< pooling type "rank"
    bool chat_template = false;
};

}  // namespace drover::models
