#include "platform/paths.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

fs::path home(const Environment& environment) {
    return environment("HOME").value_or("/");
}

}  // namespace

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value =
            std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nobody calls setenv
        if (value == nullptr || *value == '\0') {
            return std::nullopt;
        }
        return value;
    };
}

fs::path cache_directory(const Environment& environment) {
    if (const auto own = environment("DROVER_CACHE")) {
        return *own;
    }
    if (const auto xdg = environment("XDG_CACHE_HOME")) {
        return fs::path(*xdg) / "drover";
    }
    return home(environment) / ".cache" / "drover";
}

fs::path config_directory(const Environment& environment) {
    if (const auto xdg = environment("XDG_CONFIG_HOME")) {
        return fs::path(*xdg) / "drover";
    }
    return home(environment) / ".config" / "drover";
}

fs::path runtime_directory(const Environment& environment) {
    if (const auto own = environment("DROVER_RUNTIME_DIR")) {
        return *own;
    }
    if (const auto xdg = environment("XDG_RUNTIME_DIR")) {
        return fs::path(*xdg) / "drover";
    }
    return fs::path("/tmp") / ("drover-" + std::to_string(::geteuid()));
}

Result<fs::path> find_program(const std::string& name, const Environment& environment) {
    if (name.find('/') != std::string::npos) {
        return fs::absolute(name);
    }
    const std::string folders = environment("PATH").value_or("");
    std::string_view rest = folders;
    while (!rest.empty()) {
        const std::size_t length = std::min(rest.find(':'), rest.size());
        const fs::path program = fs::path(rest.substr(0, length)) / name;
        rest.remove_prefix(std::min(length + 1, rest.size()));
        std::error_code error;
        if (program.is_absolute() && fs::is_regular_file(program, error) &&
            ::access(program.c_str(), X_OK) == 0) {
            return program;
        }
    }
    return Error{ErrorCode::not_found, "there is no program '" + name + "' on PATH: " + folders};
}

}  // namespace drover::platform
