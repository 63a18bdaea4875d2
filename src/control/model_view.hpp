// What the gateway can tell of a model. Plain values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/units.hpp"
#include "models/candidate.hpp"

namespace drover::control {

/// One model, for listings.
struct ModelView {
    std::string name;
    std::vector<std::string> aliases{};
    std::vector<std::string> copies{};  ///< aliases that are listed as models of their own
    std::string file{};
    Bytes size{};                  ///< of the file
    std::string architecture{};    ///< "llama", "gemma3", ...
    std::string quantisation{};    ///< "Q4_K_M", ...
    std::uint64_t parameters = 0;  ///< 0: unknown
    std::uint64_t context = 0;     ///< tokens one request may use
    std::uint32_t parallel = 1;
    std::string task{};  ///< "generate", "embedding", "rerank"
    /// What its engine calls it, when that insists on a name; requests are rewritten. Empty: any.
    std::string served_name{};
    bool only_openai =
        false;             ///< its engine has OpenAI's paths, with "/v1", and no others for them
    std::string state{};   ///< "cold", "loading", "hot", "stopping"; of a remote "remote" or "down"
    Bytes estimated{};     ///< bytes one instance needs
    Duration load_time{};  ///< from nothing to ready: a guess, then what it took last
    /// To compute a token of a prompt: a guess, then what its engine told; zero: nobody knows.
    Duration prefill_per_token{};
    std::optional<std::string> broken{};  ///< why it cannot be served
    std::string digest{};                 ///< of its manifest, "sha256:..."; empty: it has none
    std::string origin{};                 ///< "config", "folder", "store", "ollama", ...
    /// What its Modelfile adds; null when there is nothing.
    std::shared_ptr<const models::Recipe> recipe{};
    std::int64_t created = 0;           ///< seconds since 1970: the file's modification time
    std::uint64_t trained_context = 0;  ///< tokens, as the file says
    std::uint32_t embedding_length = 0;
    /// "completion", "embedding", "tools", "thinking", ...: in Ollama's words.
    std::vector<std::string> capabilities{};
    std::vector<std::string> servers{};  ///< URLs, of a remote model; empty: it runs here
};

/// One value of a file's metadata. Arrays of anything but numbers, and long ones, are empty.
using MetadataValue =
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string, std::vector<double>>;

struct TensorView {
    std::string name;
    std::string type;  ///< "Q4_K", "F32", ...
    std::vector<std::uint64_t> shape;
};

/// What a model's file says of itself.
struct ModelDescription {
    std::string licence;
    std::string chat_template;  ///< Jinja; empty: none
    std::map<std::string, MetadataValue> metadata;
    std::vector<TensorView> tensors;
};

}  // namespace drover::control
