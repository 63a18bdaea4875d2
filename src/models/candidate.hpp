// A model that somebody has put on the disk, as far as its place and its name tell. Plain values;
// any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace drover::models {

/// Who put a model where it is.
enum class Origin {
    config,       ///< the configuration names its file
    folder,       ///< a directory of the configuration, or the cache's
    store,        ///< pulled or created here
    ollama,       ///< Ollama's store, which is only read
    huggingface,  ///< the cache of the hub's own tools
    lm_studio,
};

std::string_view to_string(Origin origin);

/// What a model brings along besides its weights: the layers of a Modelfile.
struct Recipe {
    std::string template_text;  ///< of Ollama's kind; the engine uses the file's own
    std::string system;         ///< goes before every conversation that has none
    std::string parameters;     ///< JSON object: {"temperature": 0.5, "stop": [...]}
    std::string messages;       ///< JSON array of messages to begin with
    std::vector<std::string> licences;
    std::vector<std::filesystem::path> adapters;  ///< LoRA files

    bool operator==(const Recipe&) const = default;
};

struct Candidate {
    Origin origin = Origin::folder;
    std::string name;                  ///< as its users know it
    std::vector<std::string> aliases;  ///< left out where they name something else already
    std::filesystem::path file;        ///< of a split model the first part
    std::optional<std::filesystem::path> projector;
    std::string digest;  ///< of its manifest, "sha256:..."; empty: it has none
    Recipe recipe;
    std::optional<Error> broken;  ///< why it cannot be used, if that is known already
};

/// The projector of a vision or audio model that lies beside its file: the only one there, if all
/// models there are one, or the one whose name tells that it belongs to this. Blocks on the disk.
std::optional<std::filesystem::path> projector_beside(const std::filesystem::path& file);

}  // namespace drover::models
