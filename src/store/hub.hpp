// Which files of a Hugging Face repository make up a model. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "store/digest.hpp"

namespace drover::store {

struct HubFile {
    std::string path;  ///< "Q4_K_M/big-00001-of-00002.gguf"
    Bytes size;
    std::optional<Digest> digest;  ///< of large files; small ones have none
};

struct HubChoice {
    std::vector<HubFile> model;  ///< all parts, in order
    std::optional<HubFile> projector;
};

/// The GGUF files of one page of the hub's answer to /api/models/ORG/REPO/tree/main. Appends to
/// `files`; what is no file with a sensible path is left out.
Status parse_hub_tree(std::string_view text, std::vector<HubFile>& files);

/// The model that `tag` means: a quantisation such as "Q4_K_M" in any case, or "latest", which is
/// Q4_K_M, else Q8_0, else the first. `file`, when not empty, names it exactly. `not_found` lists
/// what there is.
Result<HubChoice> choose_hub_files(const std::vector<HubFile>& files,
                                   const std::string& tag,
                                   const std::string& file);

/// "Q4_K_M" of a file's path; empty when its name tells none.
std::string quantisation_of(std::string_view path);

}  // namespace drover::store
