#include "platform/paths.hpp"

#include <cstdlib>

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

}  // namespace drover::platform
