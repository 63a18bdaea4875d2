#include "app/model_text.hpp"

#include <unistd.h>

#include "base/assert.hpp"

namespace drover::app {

std::string_view to_string(config::Task task) {
    switch (task) {
        case config::Task::automatic:
            return "auto";
        case config::Task::generate:
            return "generate";
        case config::Task::embedding:
            return "embedding";
        case config::Task::rerank:
            return "rerank";
    }
    DROVER_UNREACHABLE();
}

std::vector<std::string> own_environment() {
    std::vector<std::string> environment;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
        environment.emplace_back(*entry);
    }
    return environment;
}

memory::KeepAlive keep_alive_of(const engines::ResolvedSettings& settings) {
    if (settings.keep_alive.count() < 0) {
        return std::nullopt;
    }
    return settings.keep_alive;
}

}  // namespace drover::app
