// docs/config.md's tables, from the tables of settings.
#include <sstream>

#include "config/fields.hpp"
#include "config/load.hpp"
#include "config/load_engine.hpp"

namespace drover::config {

namespace {

template <typename Table>
void append_table(std::ostringstream& out, const Table& table, const std::string& prefix) {
    out << "| setting | example | environment | meaning |\n|---|---|---|---|\n";
    for (const auto& field : table) {
        const std::string environment =
            field.environment.empty() ? "" : "`" + field.environment + "`";
        out << "| `" << prefix << field.path << "` | `" << field.example << "` | " << environment
            << " | " << field.help << " |\n";
    }
}

}  // namespace

std::string reference() {
    std::ostringstream out;
    out << "## The server\n\n";
    append_table(out, fields(), "");
    out << "| `models_dir` | `~/models` | `DROVER_MODELS_DIR` | A directory or a list of them, "
           "searched for `*.gguf`. Without it: `models` in the cache directory. |\n";
    out << "\n## Models\n\nIn `defaults:` for all models, or in `models.NAME:` for one. The "
           "environment sets defaults.\n\n";
    append_table(out, model_fields(), "");
    out << "| `extra_args` | `[--no-context-shift]` |  | Passed to the engine as they are, last. "
           "Options of llama-server for which there is a setting, such as `--ctx-size`, are "
           "refused. "
           "|\n";
    out << "\nOnly in `models.NAME:`\n\n| setting | example | meaning |\n|---|---|---|\n"
           "| `file` | `SmolLM2-135M-Instruct.Q4_1.gguf` | The GGUF file; a relative path starts "
           "at the config file, a bare name is also looked for in the model directories. |\n"
           "| `aliases` | `[small, tiny]` | Other names that clients may use. |\n"
           "| `task` | `auto` | `generate`, `embedding`, `rerank`, or `auto`: what the file's "
           "header says. |\n"
           "| `pin` | `false` | Never evicted to make room, and never expires. |\n"
           "| `preload` | `false` | Loaded when the server starts. |\n";
    out << "\nOf engines other than llama.cpp; [engines.md](engines.md) explains them.\n\n"
           "| setting | engines | example | meaning |\n|---|---|---|---|\n"
           "| `engine` | all | `llama_cpp` | `llama_cpp`, `vllm`, `command` or `remote`. |\n";
    for (const EngineKey& key : engine_key_table()) {
        out << "| `" << key.name << "` | " << key.engines_text() << " | `" << key.example << "` | "
            << key.help << " |\n";
    }
    out << "\n## Routes\n\n`routes.NAME:` makes a name that stands for a choice of model; "
           "[routing.md](routing.md) explains it.\n\n| setting | example | meaning "
           "|\n|---|---|---|\n"
           "| `rules` | `[{images: true, use: vision}]` | What is certain: `endpoint`, `tools`, "
           "`images`, `headers`, `longer_than`, `shorter_than`, `contains`, `matches`, "
           "`language`, and the models to `use`. |\n"
           "| `task` | `{code: coder, math: tutor}` | A model, or several, for each label; "
           "`confidence`, `predictor`, and `classifier` or `embedding` if wanted. |\n"
           "| `complexity` | `{small: a, large: b, quality: 98%}` | The small model where it will "
           "do; or `budget: 30%`, or `threshold`; `predictor`, and `classifier` or `embedding` if "
           "wanted. |\n"
           "| `classifier` of either | `{model: tiny, timeout: 2s}` | A small language model is "
           "asked first; `confidence` (50%) that its answer needs, `prompt`, the bytes that it is "
           "shown (2000), and `labels`, what they mean, if wanted. |\n"
           "| `embedding` of either | `minilm`, `{model: minilm, timeout: 200ms}` | A model whose "
           "embeddings of the prompt count beside its words, where it is in memory; the "
           "`predictor` must have been trained with it. |\n"
           "| `cascade` | `{models: [a, b], confidence: 70%}` | The first model answers; an answer "
           "that is not sure enough is not sent, and the next one answers; `calibration`, `hold`, "
           "`wait` if wanted. |\n"
           "| `fallback` | `[a, b]` | When no stage decides, and when a model fails. |\n"
           "| `affinity` | `true` | A conversation stays with its model. |\n"
           "| `local_only` | `false` | Its requests never go to a remote model. |\n";
    return out.str();
}

}  // namespace drover::config
