// What people write to name a model that is somewhere else: a name in a registry, a repository on
// the Hugging Face hub, a URL, a file. Pure; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace drover::store {

/// The parts of a model's full name, each checked: none is empty, begins with a dot or contains a
/// slash, so they can be parts of a path.
struct ModelName {
    std::string host = "registry.ollama.ai";
    std::string space = "library";
    std::string model;
    std::string tag = "latest";

    bool operator==(const ModelName&) const = default;

    /// As Ollama writes it: "qwen3:8b", "user/model:tag", "hf.co/org/repo:Q4_K_M".
    std::string display() const;

    /// "registry.ollama.ai/library/qwen3/8b": where its manifest lies.
    std::filesystem::path path() const;
};

/// Reads "[HOST/][NAMESPACE/]MODEL[:TAG]". `invalid_argument` says which part is wrong.
Result<ModelName> parse_model_name(std::string_view text);

/// Where a model comes from.
enum class ReferenceKind {
    registry,  ///< Ollama's protocol, at `base`
    hub,       ///< a repository of GGUF files on the Hugging Face hub
    url,       ///< one GGUF file
    file,      ///< one on this machine
};

struct Reference {
    ReferenceKind kind = ReferenceKind::registry;
    ModelName name;              ///< what it is called here
    std::string base;            ///< registry: "https://registry.ollama.ai"; empty: the default one
    std::string file_in_hub;     ///< the file that is wanted; empty: chosen by the tag
    std::string revision;        ///< of the hub's repository: a branch, tag or commit; empty: main
    std::string url;             ///< without a "#sha256=..." at its end
    std::string digest;          ///< from there, as 64 hex digits; may be empty
    std::filesystem::path file;  ///< as given
};

/// `invalid_argument` with the forms that are understood. Does not look at the disk.
Result<Reference> parse_reference(std::string_view text);

}  // namespace drover::store
