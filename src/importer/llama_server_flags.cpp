#include "importer/llama_server_flags.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace drover::importer {

namespace {

/// What becomes of a flag.
enum class Use {
    file,
    context,
    parallel,
    batch,
    setting,     ///< its value is that of `name`
    mebibytes,   ///< the same, a size in MiB
    flash,       ///< on, off or auto; without a value: on
    gpu_layers,  ///< a number, all, or auto
    fixed,       ///< no value; `name` is "KEY=VALUE"
    done,        ///< no value: Drover says it anyway
    done_value,  ///< a value that Drover chooses
    elsewhere,   ///< the model is not a file
};

struct Flag {
    std::string_view spelling;
    Use use;
    std::string_view name = "";
};

constexpr std::array kFlags{
    Flag{"-m", Use::file},
    Flag{"--model", Use::file},
    Flag{"-c", Use::context},
    Flag{"--ctx-size", Use::context},
    Flag{"-np", Use::parallel},
    Flag{"--parallel", Use::parallel},
    Flag{"-ub", Use::batch},
    Flag{"--ubatch-size", Use::batch},
    Flag{"-b", Use::done_value, "batch is one size in Drover: that of --ubatch-size"},
    Flag{"--batch-size", Use::done_value, "batch is one size in Drover: that of --ubatch-size"},
    Flag{"-t", Use::setting, "threads"},
    Flag{"--threads", Use::setting, "threads"},
    Flag{"-ctk", Use::setting, "cache_type_k"},
    Flag{"--cache-type-k", Use::setting, "cache_type_k"},
    Flag{"-ctv", Use::setting, "cache_type_v"},
    Flag{"--cache-type-v", Use::setting, "cache_type_v"},
    Flag{"-cram", Use::mebibytes, "prompt_cache"},
    Flag{"--cache-ram", Use::mebibytes, "prompt_cache"},
    Flag{"-fa", Use::flash},
    Flag{"--flash-attn", Use::flash},
    Flag{"-ngl", Use::gpu_layers},
    Flag{"--gpu-layers", Use::gpu_layers},
    Flag{"--n-gpu-layers", Use::gpu_layers},
    Flag{"-nr", Use::fixed, "repack=false"},
    Flag{"--no-repack", Use::fixed, "repack=false"},
    Flag{"--embedding", Use::fixed, "task=embedding"},
    Flag{"--embeddings", Use::fixed, "task=embedding"},
    Flag{"--rerank", Use::fixed, "task=rerank"},
    Flag{"--reranking", Use::fixed, "task=rerank"},
    Flag{"--jinja", Use::done},
    Flag{"--no-webui", Use::done},
    Flag{"--no-ui", Use::done},
    Flag{"--no-warmup", Use::done},
    Flag{"--offline", Use::done},
    Flag{"--host", Use::done_value},
    Flag{"--port", Use::done_value},
    Flag{"-a", Use::done_value},
    Flag{"--alias", Use::done_value},
    Flag{"--api-key", Use::done_value, "not needed: nobody but Drover can reach the engine"},
    Flag{"--api-key-file", Use::done_value, "not needed: nobody but Drover can reach the engine"},
    Flag{"-hf", Use::elsewhere},
    Flag{"-hfr", Use::elsewhere},
    Flag{"--hf-repo", Use::elsewhere},
    Flag{"-mu", Use::elsewhere},
    Flag{"--model-url", Use::elsewhere},
    Flag{"--models-dir", Use::elsewhere},
    Flag{"--models-preset", Use::elsewhere}};

/// People write 99 or 999 when they mean all layers, however many there are.
constexpr std::uint64_t kAllLayers = 99;

/// A whole number, or nullopt: negative ones mean the program's own choice.
std::optional<std::uint64_t> count_of(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                    : std::nullopt;
}

bool is_flag(std::string_view word) {
    // "-1" is a value.
    return word.size() > 1 && word.front() == '-' && (word[1] < '0' || word[1] > '9');
}

/// Reads one command line.
class FlagReader {
  public:
    explicit FlagReader(const std::vector<std::string>& words) : words_(words) {}

    std::optional<LlamaServerModel> run() {
        while (at_ < words_.size() && !elsewhere_) {
            take(split_equals());
        }
        if (elsewhere_ || model_.file.empty()) {
            return std::nullopt;
        }
        set_sizes();
        return std::move(model_);
    }

  private:
    struct Word {
        std::string flag;
        std::optional<std::string> value;  ///< from "--flag=value"
    };

    Word split_equals() {
        const std::string& word = words_[at_++];
        const std::size_t equals = word.find('=');
        if (word.starts_with("--") && equals != std::string::npos) {
            return {word.substr(0, equals), word.substr(equals + 1)};
        }
        return {word, std::nullopt};
    }

    std::string value_of(const Word& word) {
        if (word.value.has_value()) {
            return *word.value;
        }
        return at_ < words_.size() ? words_[at_++] : "";
    }

    void take(const Word& word) {
        const auto known = std::find_if(kFlags.begin(), kFlags.end(), [&word](const Flag& one) {
            return one.spelling == word.flag;
        });
        if (known == kFlags.end()) {
            pass_on(word);
            return;
        }
        const std::string name(known->name);
        switch (known->use) {
            case Use::file:
                model_.file = value_of(word);
                return;
            case Use::context:
                context_ = value_of(word);
                return;
            case Use::parallel:
                parallel_ = count_of(value_of(word));
                return;
            case Use::batch:
                set("batch", value_of(word));
                return;
            case Use::setting:
                set(name, value_of(word));
                return;
            case Use::mebibytes:
                set_mebibytes(name, value_of(word));
                return;
            case Use::flash:
                set_flash(word);
                return;
            case Use::gpu_layers:
                set_gpu_layers(value_of(word));
                return;
            case Use::fixed:
                set(name.substr(0, name.find('=')), name.substr(name.find('=') + 1));
                return;
            case Use::done:
                return;
            case Use::done_value:
                value_of(word);
                if (!name.empty()) {
                    model_.notes.push_back(word.flag + ": " + name);
                }
                return;
            case Use::elsewhere:
                elsewhere_ = true;
                return;
        }
    }

    /// With the values that follow: only the engine knows how many there are.
    void pass_on(const Word& word) {
        model_.extra_args.push_back(word.value.has_value() ? word.flag + "=" + *word.value
                                                           : word.flag);
        while (at_ < words_.size() && !is_flag(words_[at_])) {
            model_.extra_args.push_back(words_[at_++]);
        }
    }

    void set(const std::string& name, const std::string& value) {
        for (auto& [known, text] : model_.settings) {
            if (known == name) {
                text = value;  // the last one counts, as it does for the program
                return;
            }
        }
        model_.settings.emplace_back(name, value);
    }

    void set_mebibytes(const std::string& name, const std::string& value) {
        if (const auto count = count_of(value)) {
            set(name, std::to_string(*count) + "MiB");
        } else {
            model_.notes.push_back(name + ": a cache without a limit is not possible");
        }
    }

    void set_flash(const Word& word) {
        std::string value = word.value.value_or("");
        if (!word.value.has_value() && at_ < words_.size() && !is_flag(words_[at_])) {
            value = words_[at_++];
        }
        if (value == "off" || value == "0" || value == "false") {
            set("flash_attention", "false");
        } else if (value != "auto" && value != "-1") {
            set("flash_attention", "true");
        }
    }

    void set_gpu_layers(const std::string& value) {
        const std::optional<std::uint64_t> count = count_of(value);
        if (count == 0) {
            set("device", "host");
        } else if (value == "all" || count >= kAllLayers) {
            set("gpu_layers", "all");
        } else if (count.has_value()) {
            set("gpu_layers", value);
        }
    }

    /// The program divides its context among its slots; Drover's is what one request may use.
    void set_sizes() {
        const std::uint64_t slots = std::max<std::uint64_t>(parallel_.value_or(1), 1);
        if (parallel_.has_value()) {
            set("parallel", std::to_string(slots));
        }
        if (context_.empty()) {
            return;
        }
        const std::uint64_t tokens = count_of(context_).value_or(0);
        if (tokens == 0) {
            model_.notes.push_back(
                "--ctx-size 0: Drover does not take a model's whole context unasked; set context");
        } else {
            set("context", std::to_string(std::max<std::uint64_t>(tokens / slots, 1)));
        }
    }

    const std::vector<std::string>& words_;
    std::size_t at_ = 1;  // after the program
    LlamaServerModel model_;
    std::string context_;
    std::optional<std::uint64_t> parallel_;
    bool elsewhere_ = false;
};

}  // namespace

bool is_llama_server(const std::string& program) {
    return program.substr(program.rfind('/') + 1).starts_with("llama-server");
}

std::optional<LlamaServerModel> read_llama_server(const std::vector<std::string>& command) {
    return FlagReader(command).run();
}

}  // namespace drover::importer
