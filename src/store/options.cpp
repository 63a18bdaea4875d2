#include "store/options.hpp"

#include <string>

#include "platform/files.hpp"

namespace drover::store {

namespace {

constexpr Bytes kTokenFileMax = 4_KiB;

std::string hub_token(const platform::Environment& environment) {
    for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
        if (const auto token = environment(name)) {
            return *token;
        }
    }
    std::filesystem::path file =
        std::filesystem::path(environment("HOME").value_or("/")) / ".cache/huggingface/token";
    if (const auto home = environment("HF_HOME")) {
        file = std::filesystem::path(*home) / "token";
    }
    if (const auto named = environment("HF_TOKEN_PATH")) {
        file = *named;
    }
    const auto text = platform::read_file(file, kTokenFileMax);
    return text.ok() ? text->substr(0, text->find_first_of(" \r\n")) : "";
}

}  // namespace

PullOptions pull_options(const config::StoreConfig& config,
                         const platform::Environment& environment) {
    return {.registry = config.registry,
            .hub = config.hub,
            .hub_token = hub_token(environment),
            .connections = config.connections,
            .stall = std::chrono::ceil<std::chrono::seconds>(config.stall_timeout)};
}

}  // namespace drover::store
