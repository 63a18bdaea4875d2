#include "models/candidate.hpp"

#include <algorithm>
#include <set>
#include <system_error>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "models/naming.hpp"

namespace drover::models {

namespace fs = std::filesystem;

namespace {

/// More files than this in one folder: nobody keeps a projector there.
constexpr std::size_t kFilesMax = 2000;

/// The model's name in a projector's: "mmproj-Qwen2-VL-7B-F16" -> "qwen2-vl-7b".
std::string model_in(std::string_view stem) {
    std::string name = short_name(stem);
    if (const std::size_t at = name.find("mmproj"); at != std::string::npos) {
        name.erase(at, 6);
    }
    const auto outside = [](char c) {
        return c == '-' || c == '.' || c == '_';
    };
    while (!name.empty() && outside(name.front())) {
        name.erase(0, 1);
    }
    while (!name.empty() && outside(name.back())) {
        name.pop_back();
    }
    return name == "model" ? "" : name;
}

}  // namespace

std::string_view to_string(Origin origin) {
    switch (origin) {
        case Origin::config:
            return "config";
        case Origin::folder:
            return "folder";
        case Origin::store:
            return "store";
        case Origin::ollama:
            return "ollama";
        case Origin::huggingface:
            return "huggingface";
        case Origin::lm_studio:
            return "lm-studio";
    }
    DROVER_UNREACHABLE();
}

std::optional<fs::path> projector_beside(const fs::path& file) {
    std::vector<fs::path> projectors;
    std::set<std::string> models;
    std::size_t seen = 0;
    std::error_code error;
    for (fs::directory_iterator one(file.parent_path(), error);
         !error && one != fs::directory_iterator();
         one.increment(error)) {
        if (++seen > kFilesMax) {
            return std::nullopt;
        }
        const std::string stem = one->path().stem().string();
        if (!equals_ignoring_case(one->path().extension().string(), ".gguf")) {
            continue;
        }
        if (is_projector(stem)) {
            projectors.push_back(one->path());
        } else {
            const auto split = parse_split_name(stem);
            models.insert(short_name(split.has_value() ? split->base : stem));
        }
    }
    // Of several precisions the 16-bit one comes first by its name.
    std::sort(projectors.begin(), projectors.end());
    const auto split = parse_split_name(file.stem().string());
    const std::string own = short_name(split.has_value() ? split->base : file.stem().string());
    for (const fs::path& projector : projectors) {
        const std::string named = model_in(projector.stem().string());
        if (named.empty()
                ? models.size() == 1
                : own.find(named) != std::string::npos || named.find(own) != std::string::npos) {
            return projector;
        }
    }
    return std::nullopt;
}

}  // namespace drover::models
