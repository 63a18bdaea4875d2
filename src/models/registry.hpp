// The models that clients can ask for: those of the configuration, the *.gguf files found in
// directories, and what other programs have put on the disk. A value: scanned by a blocking call
// (off the loop), then only read.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "config/config.hpp"
#include "models/candidate.hpp"
#include "models/hugging_face_folder.hpp"
#include "models/model_facts.hpp"

namespace drover::models {

/// One model: where it is and what its header says.
struct Model {
    ModelId id;
    std::string name;                  ///< as clients write it, in lower case unless configured
    std::vector<std::string> aliases;  ///< other names for it
    std::vector<std::string> copies;   ///< of these, models of a store that are the same
    config::EngineKind engine = config::EngineKind::llama_cpp;
    /// The first is what the engine is given. Empty only of engines other than llama.cpp.
    std::vector<std::filesystem::path> files;
    config::Task task = config::Task::generate;  ///< never `automatic`
    ModelFacts facts;                            ///< from a GGUF header; empty where there is none
    std::optional<Error> broken;                 ///< why it cannot be served
    Origin origin = Origin::folder;
    std::optional<std::filesystem::path> projector;  ///< of a vision or audio model
    Companions companions;
    std::string digest;  ///< of its manifest, "sha256:..."; empty: it has none
    Recipe recipe;
    bool declared = false;  ///< from the configuration, not from a directory
    bool pin = false;
    bool preload = false;
    config::ModelSettings settings;  ///< its own; defaults are not merged in
    HuggingFaceFacts hugging_face;   ///< of vLLM's; empty where there is no folder
    std::string served_name;         ///< what its engine calls it; empty: as clients do
    config::ChildSettings child;
    std::string identity;  ///< differs when its name, files or recipe do: then it is another model
};

/// The folder that a reference to the hub has on this machine, by reference ("org/model").
using Snapshots = std::map<std::string, std::filesystem::path>;

class Registry {
  public:
    Registry() = default;

    /// Reads the headers of all configured and found models. Blocks on the disk. What `previous`
    /// already knew keeps its id and is not read again, as long as its files have not changed.
    /// `others` come after those of the directories; the same file is one model with several names.
    /// A reference is read where `snapshots` has it. Never fails as a whole: what is wrong with one
    /// model is in it, what is wrong with a directory is in `problems`.
    static Registry scan(const config::Config& config,
                         const std::vector<Candidate>& others = {},
                         const Registry* previous = nullptr,
                         const Snapshots& snapshots = {});

    /// All of them, sorted by name; broken ones too.
    const std::vector<Model>& models() const { return models_; }

    /// The model with this name or alias, without regard to case; "NAME:latest" and NAME find each
    /// other.
    /// nullptr when there is none. Valid as long as the registry.
    const Model* find(std::string_view name) const;
    const Model* find(ModelId id) const;

    /// Up to three names like `name`, nearest first, for the message of a 404.
    std::vector<std::string> nearest(std::string_view name) const;

    /// What went wrong, for logs and `drover doctor`: unreadable directories, clashing names.
    const std::vector<std::string>& problems() const { return problems_; }
    void add_problem(std::string problem) { problems_.push_back(std::move(problem)); }

    /// Says why a model cannot be served that was read well. REQUIRES: there is one with this id.
    void set_broken(ModelId id, Error why);

  private:
    friend class Scanner;

    std::vector<Model> models_;
    std::unordered_map<std::string, std::size_t> index_;  ///< lower-case names and aliases
    std::vector<std::string> problems_;
    std::uint64_t ids_used_ = 0;
};

}  // namespace drover::models
