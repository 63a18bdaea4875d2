// Finds a llama-server that Drover can work with. Blocks (runs `--version`); at start-up, any
// thread.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::engines {

/// The llama.cpp release that Drover is made and tested for.
inline constexpr std::string_view kLlamaCppRelease = "0.5.0";

/// What `llama-server --version` says.
struct LlamaCppVersion {
    std::string release;  ///< "0.5.0", "0.5.0-dev"
    std::string build;    ///< "build 1, commit 0ad4a86", as printed

    /// A release that is known to work, from a small table.
    bool known() const;
};

/// Finds the version in what the program printed; nothing when there is none.
std::optional<LlamaCppVersion> parse_llama_cpp_version(std::string_view output);

/// The devices that it lists, such as "CUDA0"; none: it computes on the processor alone.
std::vector<std::string> parse_llama_cpp_devices(std::string_view output);

/// What `llama-server --list-devices` lists; none also when it fails. Blocks.
std::vector<std::string> llama_cpp_devices(const std::filesystem::path& program);

enum class EngineSource {
    config,  ///< the path that the configuration gives
    cache,   ///< the engine cache, filled by scripts/install-engine
    path,    ///< a directory of $PATH
};

struct LocatedEngine {
    std::filesystem::path llama_server;
    LlamaCppVersion version;
    EngineSource source = EngineSource::config;
    /// scripts/engine, made with the engine: preloaded, it lets the engine sleep, and share the
    /// processors with others. Empty: there is none.
    std::filesystem::path preload{};
    /// The devices that it lists, where finding it needed them; unset: nobody has asked it yet.
    std::optional<std::vector<std::string>> devices{};
};

/// Where to look.
struct EngineSearch {
    std::filesystem::path configured;  ///< empty: none
    std::filesystem::path
        cache_dir;            ///< "engines/llama.cpp-vRELEASE-KIND/bin/llama-server" below it
    std::string search_path;  ///< $PATH
    /// Gives what a program prints for --version. Replaced in tests.
    std::function<Result<std::string>(const std::filesystem::path&)> probe;
    /// Gives the devices that a program lists. Replaced in tests.
    std::function<std::vector<std::string>(const std::filesystem::path&)> devices;
};

/// The search for this process's PATH and a real probe.
EngineSearch default_engine_search(std::filesystem::path configured,
                                   std::filesystem::path cache_dir,
                                   std::string search_path);

/// In this order: the configured path (of any version, but it must run), the engine cache (CUDA and
/// Metal builds before native CPU ones, then Vulkan, then prebuilt CPU ones; those for GPUs only
/// where they see one), PATH (known versions only). `not_found` lists what was tried and says how
/// to install one.
Result<LocatedEngine> locate_llama_cpp(const EngineSearch& search);

}  // namespace drover::engines
