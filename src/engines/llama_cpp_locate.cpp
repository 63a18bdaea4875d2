#include "engines/llama_cpp_locate.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "platform/run_command.hpp"

namespace drover::engines {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kVersionTimeout{20'000};
constexpr std::string_view kProgram = "llama-server";

// Releases whose flags and endpoints were tried with Drover.
constexpr std::array<std::string_view, 2> kKnownReleases{"0.5.0", "0.5.0-dev"};

Result<std::string> run_probe(const fs::path& program) {
    auto output = platform::run_command({program.string(), "--version"}, kVersionTimeout);
    if (!output.ok()) {
        return output.error();
    }
    if (output->status != 0) {
        const std::string last = output->text.substr(0, 400);
        return Error{ErrorCode::engine_failed,
                     program.string() + " --version ended with status " +
                         std::to_string(output->status) + ": " + last};
    }
    return std::move(output->text);
}

bool is_executable(const fs::path& file) {
    std::error_code error;
    const auto status = fs::status(file, error);
    constexpr auto kAnyExec =
        fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
    return !error && fs::is_regular_file(status) &&
           (status.permissions() & kAnyExec) != fs::perms::none;
}

/// A kind of build in the engine cache.
struct Build {
    std::string_view word;  ///< in the name of its folder
    int rank;               ///< lower is better: what computes faster comes first
    bool for_gpus;
};

Build build_of(const std::string& directory) {
    constexpr std::array<Build, 4> kBuilds{
        {{"cuda", 0, true}, {"metal", 0, true}, {"native", 1, false}, {"vulkan", 2, true}}};
    const auto found = std::find_if(kBuilds.begin(), kBuilds.end(), [&](const Build& build) {
        return directory.find(build.word) != std::string::npos;
    });
    return found != kBuilds.end() ? *found : Build{"", 3, false};
}

struct CachedEngine {
    fs::path program;
    Build build;
};

std::vector<CachedEngine> cached_engines(const fs::path& cache_dir) {
    std::vector<CachedEngine> engines;
    const std::string prefix = "llama.cpp-v" + std::string(kLlamaCppRelease) + "-";
    std::error_code error;
    for (fs::directory_iterator entry(cache_dir / "engines", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const fs::path program = entry->path() / "bin" / kProgram;
        if (name.rfind(prefix, 0) == 0 && is_executable(program)) {
            engines.push_back({program, build_of(name.substr(prefix.size()))});
        }
    }
    std::sort(engines.begin(), engines.end(), [](const CachedEngine& a, const CachedEngine& b) {
        return std::tie(a.build.rank, a.program) < std::tie(b.build.rank, b.program);
    });
    return engines;
}

std::vector<fs::path> engines_on_path(std::string_view search_path) {
    std::vector<fs::path> programs;
    while (!search_path.empty()) {
        const std::size_t length = std::min(search_path.find(':'), search_path.size());
        const fs::path directory = search_path.substr(0, length);
        search_path.remove_prefix(std::min(length + 1, search_path.size()));
        // Relative entries of PATH would make the engine depend on the working directory.
        if (directory.is_absolute() && is_executable(directory / kProgram)) {
            programs.push_back(directory / kProgram);
        }
    }
    return programs;
}

/// scripts/install-engine puts it there.
fs::path preload_of(const fs::path& program) {
    const fs::path library = program.parent_path().parent_path() / "lib" / "libdrover-preload.3.so";
    std::error_code error;
    return fs::exists(library, error) ? library : fs::path();
}

Result<LocatedEngine> try_program(const EngineSearch& search,
                                  const fs::path& program,
                                  EngineSource source) {
    auto output = search.probe(program);
    if (!output.ok()) {
        return output.error();
    }
    auto version = parse_llama_cpp_version(*output);
    if (!version.has_value()) {
        return Error{ErrorCode::engine_failed, program.string() + " --version names no version"};
    }
    if (source == EngineSource::path && !version->known()) {
        return Error{ErrorCode::engine_failed,
                     program.string() + " is version " + version->release +
                         ", which is not known to work; set engine.llama_server to use it anyway"};
    }
    return LocatedEngine{program, std::move(*version), source, preload_of(program)};
}

}  // namespace

bool LlamaCppVersion::known() const {
    return std::find(kKnownReleases.begin(), kKnownReleases.end(), release) != kKnownReleases.end();
}

std::optional<LlamaCppVersion> parse_llama_cpp_version(std::string_view output) {
    constexpr std::string_view kMark = "version: ";
    const std::size_t at = output.find(kMark);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view line = output.substr(at + kMark.size());
    line = line.substr(0, line.find_first_of("\r\n"));
    const std::size_t space = std::min(line.find(' '), line.size());
    LlamaCppVersion version;
    version.release = line.substr(0, space);
    const std::size_t open = line.find('(');
    const std::size_t close = line.rfind(')');
    if (open != std::string_view::npos && close != std::string_view::npos && close > open) {
        version.build = line.substr(open + 1, close - open - 1);
    }
    return version.release.empty() ? std::nullopt : std::optional(std::move(version));
}

std::vector<std::string> parse_llama_cpp_devices(std::string_view output) {
    // "  CUDA0: NVIDIA H100 PCIe (81079 MiB, 80563 MiB free)"; logs of other lines may be between.
    std::vector<std::string> devices;
    bool begun = false;
    while (!output.empty()) {
        const std::size_t end = std::min(output.find('\n'), output.size());
        const std::string_view line = output.substr(0, end);
        output.remove_prefix(std::min(end + 1, output.size()));
        const std::size_t colon = line.find(": ");
        if (begun && line.starts_with("  ") && colon != std::string_view::npos) {
            const std::string_view name = line.substr(2, colon - 2);
            if (!name.empty() && name.find_first_of(" (") == std::string_view::npos) {
                devices.emplace_back(name);
            }
        }
        begun = begun || line.starts_with("Available devices:");
    }
    return devices;
}

std::vector<std::string> llama_cpp_devices(const std::filesystem::path& program) {
    const auto output =
        platform::run_command({program.string(), "--list-devices"}, kVersionTimeout);
    return output.ok() && output->status == 0 ? parse_llama_cpp_devices(output->text)
                                              : std::vector<std::string>();
}

EngineSearch default_engine_search(std::filesystem::path configured,
                                   std::filesystem::path cache_dir,
                                   std::string search_path) {
    return {std::move(configured),
            std::move(cache_dir),
            std::move(search_path),
            run_probe,
            llama_cpp_devices};
}

Result<LocatedEngine> locate_llama_cpp(const EngineSearch& search) {
    if (!search.configured.empty()) {
        // What was asked for explicitly is used or refused; nothing else takes its place.
        if (!is_executable(search.configured)) {
            return Error{ErrorCode::not_found,
                         "engine.llama_server: " + search.configured.string() +
                             " is not there or cannot be executed"};
        }
        auto located = try_program(search, search.configured, EngineSource::config);
        return located.ok() ? std::move(located) : located.error().with("engine.llama_server");
    }
    std::string tried;
    const auto attempt = [&](const fs::path& program, EngineSource source) {
        auto located = try_program(search, program, source);
        if (!located.ok()) {
            tried += "\n  " + located.error().message;
        }
        return located;
    };
    for (const CachedEngine& engine : cached_engines(search.cache_dir)) {
        auto located = attempt(engine.program, EngineSource::cache);
        if (!located.ok()) {
            continue;
        }
        if (!engine.build.for_gpus) {
            return located;
        }
        // Some builds also run where their GPU is missing, on the processor: others do it better.
        located->devices = search.devices(engine.program);
        if (!located->devices->empty()) {
            return located;
        }
        tried += "\n  " + engine.program.string() + " sees no GPU";
    }
    for (const fs::path& program : engines_on_path(search.search_path)) {
        if (auto located = attempt(program, EngineSource::path); located.ok()) {
            return located;
        }
    }
    return Error{ErrorCode::not_found,
                 "no llama-server found (release " + std::string(kLlamaCppRelease) + "): not in " +
                     (search.cache_dir / "engines").string() +
                     " and none that works on PATH; run scripts/install-engine, or set "
                     "engine.llama_server" +
                     (tried.empty() ? "" : ". Tried:" + tried)};
}

}  // namespace drover::engines
