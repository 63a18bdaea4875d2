// What llama-server's own options say about guessing several tokens at once: they come through
// `extra_args`, and what they load takes memory. Pure; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace drover::engines {

struct Speculation {
    std::filesystem::path draft_model;  ///< a model that guesses; empty: none
    bool own_layers = false;            ///< the model's own layers for that (MTP)
};

Speculation speculation_of(const std::vector<std::string>& extra_args);

}  // namespace drover::engines
