#include "engines/speculation.hpp"

#include <string_view>

namespace drover::engines {

namespace {

bool names_draft(std::string_view option) {
    return option == "--spec-draft-model" || option == "--model-draft" || option == "-md";
}

}  // namespace

Speculation speculation_of(const std::vector<std::string>& extra_args) {
    Speculation result;
    for (std::size_t i = 0; i + 1 < extra_args.size(); ++i) {
        if (names_draft(extra_args[i])) {
            result.draft_model = extra_args[i + 1];
        } else if (extra_args[i] == "--spec-type") {
            result.own_layers = extra_args[i + 1].find("draft-mtp") != std::string::npos;
        }
    }
    return result;
}

}  // namespace drover::engines
