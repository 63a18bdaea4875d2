// Turns llama-swap's configuration into Drover's. Pure; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::importer {

/// Something of the file that Drover does differently or not at all.
struct Note {
    int line = 0;  ///< of the imported file, from 1
    std::string path;
    std::string message;
};

struct Imported {
    std::string yaml;  ///< a configuration of Drover
    std::vector<Note> notes;
};

/// `environment` gives the values of ${env.NAME}, which are written into the result.
/// llama-server's command lines become models of llama.cpp as far as their flags are understood,
/// all others `engine: command`. `invalid_argument`: `text` is not YAML, or no such configuration.
Result<Imported> import_llama_swap(
    std::string_view text,
    const std::function<std::optional<std::string>(const std::string& name)>& environment);

}  // namespace drover::importer
