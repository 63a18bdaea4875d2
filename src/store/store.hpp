// A folder of models in Ollama's layout: manifests/HOST/NAMESPACE/MODEL/TAG are JSON files, and
// blobs/sha256-HEX hold what they name. Ollama's own folder is read the same way. Blocks on the
// disk; any thread and any process: files appear complete or not at all.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "platform/file_lock.hpp"
#include "store/manifest.hpp"
#include "store/reference.hpp"

namespace drover::store {

/// One model of a store.
struct Entry {
    ModelName name;
    std::filesystem::path file;  ///< its manifest
    Digest digest;               ///< of the manifest
    Manifest manifest;
};

class Store {
  public:
    explicit Store(std::filesystem::path root) : root_(std::move(root)) {}

    const std::filesystem::path& root() const { return root_; }
    std::filesystem::path blob(const Digest& digest) const;
    bool has(const Digest& digest, Bytes size) const;

    /// All models, by name. Manifests that cannot be read are told in `problems`.
    std::vector<Entry> list(std::vector<std::string>* problems = nullptr) const;

    /// The model, without regard to case. `not_found` names it.
    Result<Entry> find(const ModelName& name) const;

    /// Writes what a model is made of; its blobs must be there. The manifest's bytes are kept as
    /// they are, so that its digest is that of the registry.
    Status put_manifest(const ModelName& name, std::string_view text) const;

    /// Stores `text` as a blob and gives its layer.
    Result<Layer> put_blob(std::string_view kind, std::string_view text) const;

    /// The content of a small blob: a template, a licence.
    Result<std::string> text_of(const Layer& layer) const;

    /// Another name for the same model.
    Status copy(const ModelName& from, const ModelName& to) const;

    /// Removes the model and what only it used; gives the bytes that are free now. What is left
    /// because another program pulls at the moment, collect_garbage() takes later.
    Result<Bytes> remove(const ModelName& name) const;

    /// Removes blobs that no model refers to, and unfinished ones that nobody works on. Fails with
    /// `unavailable` while anybody pulls into this store.
    Result<Bytes> collect_garbage() const;

    /// Held while blobs are put that no manifest refers to yet; shared among those who do.
    Result<platform::FileLock> writing() const;

    /// The files of a model as its engine can read them: blobs, or for a split model, whose parts
    /// must be called as the first one says, links to them. Made on demand, so `root` must be ours.
    Result<std::vector<std::filesystem::path>> model_files(const Entry& entry) const;

  private:
    Result<Entry> read(const std::filesystem::path& file, ModelName name) const;
    Bytes remove_unused(const std::vector<Layer>& candidates) const;

    std::filesystem::path root_;
};

}  // namespace drover::store
