// Makes a model of the store out of another one, or out of uploaded blobs, and a Modelfile's
// fields. Blocks; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "models/candidate.hpp"
#include "store/progress.hpp"
#include "store/store.hpp"

namespace drover::store {

/// What a client asks for.
struct CreateRequest {
    std::string model;
    std::string from;                                           ///< another model; or `files`
    std::vector<std::pair<std::string, std::string>> files;     ///< (name, digest) of blobs
    std::vector<std::pair<std::string, std::string>> adapters;  ///< the same
    std::optional<std::string> template_text;
    std::optional<std::string> system;
    std::optional<std::string> parameters;  ///< JSON object; goes over those of `from`
    std::optional<std::string> messages;    ///< JSON array
    std::vector<std::string> licences;      ///< added to those of `from`
    std::string quantise;                   ///< "q4_K_M"; empty: the weights stay as they are
    std::filesystem::path quantiser;  ///< the llama-quantize that does it; empty: there is none
};

/// A model that lies elsewhere: its files are copied into the store.
struct CreateBase {
    std::vector<std::filesystem::path> files;
    std::optional<std::filesystem::path> projector;
    models::Recipe recipe;
};

/// `base` is what `request.from` means when it is no model of the store. `not_found` names the
/// model or the blob that is missing, `invalid_argument` what cannot be used.
Status create(const Store& store,
              const CreateRequest& request,
              const std::optional<CreateBase>& base,
              const OnProgress& on_progress,
              const Stopped& stopped);

}  // namespace drover::store
