#include "config/passed_on.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace drover::config {

namespace {

struct Option {
    std::string_view spelling;
    std::string_view setting = "";  ///< of Drover; none: it is not counted
};

// llama-server v0.5.0, all spellings, and those of releases that are around.
constexpr std::array kOptions{Option{"-m", "file"},
                              Option{"--model", "file"},
                              Option{"-mu", "file"},
                              Option{"--model-url", "file"},
                              Option{"-dr", "file"},
                              Option{"--docker-repo", "file"},
                              Option{"-hf", "file"},
                              Option{"-hfr", "file"},
                              Option{"--hf-repo", "file"},
                              Option{"-c", "context"},
                              Option{"--ctx-size", "context"},
                              Option{"-np", "parallel"},
                              Option{"--parallel", "parallel"},
                              Option{"-b", "batch"},
                              Option{"--batch-size", "batch"},
                              Option{"-ub", "batch"},
                              Option{"--ubatch-size", "batch"},
                              Option{"-ctk", "cache_type_k"},
                              Option{"--cache-type-k", "cache_type_k"},
                              Option{"-ctv", "cache_type_v"},
                              Option{"--cache-type-v", "cache_type_v"},
                              Option{"-fa", "flash_attention"},
                              Option{"--flash-attn", "flash_attention"},
                              Option{"-nr", "repack"},
                              Option{"--repack", "repack"},
                              Option{"--no-repack", "repack"},
                              Option{"-cram", "prompt_cache"},
                              Option{"--cache-ram", "prompt_cache"},
                              Option{"-dev", "device"},
                              Option{"--device", "device"},
                              Option{"-ngl", "gpu_layers"},
                              Option{"--gpu-layers", "gpu_layers"},
                              Option{"--n-gpu-layers", "gpu_layers"},
                              Option{"--embedding", "task"},
                              Option{"--embeddings", "task"},
                              Option{"--rerank", "task"},
                              Option{"--reranking", "task"},
                              Option{"-fit"},
                              Option{"--fit"},
                              Option{"--swa-full"},
                              Option{"-kvu"},
                              Option{"--kv-unified"},
                              Option{"--kv-unified-per-slot"},
                              Option{"-ctxcp"},
                              Option{"--ctx-checkpoints"},
                              Option{"--swa-checkpoints"},
                              Option{"-lm"},
                              Option{"--load-mode"},
                              Option{"-lzm"},
                              Option{"--lazy-mode"},
                              Option{"--mlock"},
                              Option{"--mmap"},
                              Option{"--no-mmap"},
                              Option{"--no-host"},
                              Option{"-kvo"},
                              Option{"--kv-offload"},
                              Option{"-nkvo"},
                              Option{"--no-kv-offload"},
                              Option{"-ot"},
                              Option{"--override-tensor"},
                              Option{"-cmoe"},
                              Option{"--cpu-moe"},
                              Option{"-ncmoe"},
                              Option{"--n-cpu-moe"},
                              Option{"-ncffn"},
                              Option{"--n-cpu-ffn"},
                              Option{"-sm"},
                              Option{"--split-mode"},
                              Option{"-ts"},
                              Option{"--tensor-split"},
                              Option{"-mg"},
                              Option{"--main-gpu"},
                              Option{"--override-kv"},
                              Option{"--lora"},
                              Option{"--lora-scaled"},
                              Option{"--control-vector"},
                              Option{"--control-vector-scaled"},
                              Option{"-mm"},
                              Option{"--mmproj"},
                              Option{"-mmu"},
                              Option{"--mmproj-url"},
                              Option{"-mmdev"},
                              Option{"--mmproj-device"},
                              Option{"--mmproj-offload"},
                              Option{"--no-mmproj-offload"},
                              Option{"--image-max-tokens"},
                              Option{"--mtmd-batch-max-tokens"}};

/// "--ctx_size=4096" is "--ctx-size".
std::string spelling_of(const std::string& word) {
    std::string spelling = word;
    if (spelling.starts_with("--")) {
        spelling.resize(std::min(spelling.find('='), spelling.size()));
        std::replace(spelling.begin(), spelling.end(), '_', '-');
    }
    return spelling;
}

/// Those of our list that have a setting, or those that have none.
std::vector<Option> found(const std::vector<std::string>& extra_args, bool has_setting) {
    std::vector<Option> options;
    for (const std::string& word : extra_args) {
        const auto known = std::find_if(
            kOptions.begin(), kOptions.end(), [spelling = spelling_of(word)](const Option& one) {
                return one.spelling == spelling;
            });
        if (known != kOptions.end() && known->setting.empty() != has_setting) {
            options.push_back(*known);
        }
    }
    return options;
}

}  // namespace

Status check_passed_on(const std::vector<std::string>& extra_args) {
    std::string message;
    for (const Option& option : found(extra_args, true)) {
        message += (message.empty() ? "extra_args: " : "; ") + std::string(option.spelling) +
                   " is the setting '" + std::string(option.setting) + "'";
    }
    return message.empty() ? Status() : invalid(message + "; what is passed on is not counted");
}

std::vector<std::string> uncounted(const std::vector<std::string>& extra_args) {
    std::vector<std::string> spellings;
    for (const Option& option : found(extra_args, false)) {
        spellings.emplace_back(option.spelling);
    }
    return spellings;
}

}  // namespace drover::config
