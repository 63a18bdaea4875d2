#include "store/hub.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/text.hpp"
#include "models/naming.hpp"

namespace drover::store {

namespace json = boost::json;

namespace {

constexpr std::size_t kFilesMax = 10'000;
constexpr std::int64_t kFileBytesMax = std::int64_t{1} << 46;
constexpr std::string_view kSuffix = ".gguf";

bool is_sensible(std::string_view path) {
    const bool printable = std::all_of(path.begin(), path.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '\\';
    });
    return printable && !path.empty() && path.size() < 1000 && path.front() != '/' &&
           path.find("..") == path.npos;
}

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string_view stem(std::string_view path) {
    const std::string_view name = file_name(path);
    return name.substr(0, name.size() - std::min(name.size(), kSuffix.size()));
}

std::string_view folder(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

/// All parts of the model that `first` belongs to; nothing when one is missing.
std::vector<HubFile> all_parts(const std::vector<HubFile>& files, const HubFile& first) {
    const auto split = models::parse_split_name(stem(first.path));
    if (!split.has_value()) {
        return {first};
    }
    std::vector<HubFile> parts;
    for (std::uint32_t part = 1; part <= split->count; ++part) {
        const std::string wanted = split->stem_of(part);
        const auto found = std::find_if(files.begin(), files.end(), [&](const HubFile& one) {
            return folder(one.path) == folder(first.path) && stem(one.path) == wanted;
        });
        if (found == files.end()) {
            return {};
        }
        parts.push_back(*found);
    }
    return parts;
}

bool is_first_part(const HubFile& file) {
    const auto split = models::parse_split_name(stem(file.path));
    return !models::is_projector(stem(file.path)) && (!split.has_value() || split->part == 1);
}

/// The projector for a model: of several the 16-bit one, which every model's users take.
std::optional<HubFile> projector_for(const std::vector<HubFile>& files, const HubFile& model) {
    std::optional<HubFile> best;
    int best_rank = 0;
    for (const HubFile& file : files) {
        const bool reachable = folder(file.path).empty() || folder(file.path) == folder(model.path);
        if (!models::is_projector(stem(file.path)) || !reachable) {
            continue;
        }
        const std::string kind = quantisation_of(file.path);
        const int rank =
            (folder(file.path) == folder(model.path) ? 10 : 0) + (kind == "F16"    ? 3
                                                                  : kind == "BF16" ? 2
                                                                                   : 1);
        if (rank > best_rank) {
            best = file;
            best_rank = rank;
        }
    }
    return best;
}

std::string what_there_is(const std::vector<HubFile>& files) {
    constexpr std::size_t kShown = 30;
    std::set<std::string> kinds;
    for (const HubFile& file : files) {
        if (is_first_part(file)) {
            const std::string kind = quantisation_of(file.path);
            kinds.insert(kind.empty() ? std::string(file_name(file.path)) : kind);
        }
    }
    std::string text;
    std::size_t shown = 0;
    for (const std::string& kind : kinds) {
        if (shown++ == kShown) {
            return text + ", ...";
        }
        text += (text.empty() ? "" : ", ") + kind;
    }
    return text;
}

}  // namespace

std::string quantisation_of(std::string_view path) {
    std::string whole = to_lower(stem(path));
    if (const auto split = models::parse_split_name(whole); split.has_value()) {
        whole = split->base;
    }
    const std::string brief = models::short_name(whole);
    if (brief.size() + 1 >= whole.size()) {
        return "";
    }
    std::string kind = whole.substr(brief.size() + 1);
    std::transform(kind.begin(), kind.end(), kind.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return kind;
}

Status parse_hub_tree(std::string_view text, std::vector<HubFile>& files) {
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    if (error || !value.is_array()) {
        return Error{ErrorCode::io_error, "the hub's list of files is no JSON array"};
    }
    for (const json::value& one : value.get_array()) {
        const json::object* object = one.if_object();
        const json::value* path = object == nullptr ? nullptr : object->if_contains("path");
        if (path == nullptr || !path->is_string() || !is_sensible(path->get_string()) ||
            !to_lower(std::string_view(path->get_string())).ends_with(kSuffix)) {
            continue;
        }
        HubFile file{.path = std::string(path->get_string()), .size = Bytes(0), .digest = {}};
        const json::value* large = object->if_contains("lfs");
        const json::object* lfs = large == nullptr ? nullptr : large->if_object();
        const json::value* size = (lfs != nullptr ? lfs : object)->if_contains("size");
        const json::value* oid = lfs == nullptr ? nullptr : lfs->if_contains("oid");
        const auto bytes =
            size != nullptr && size->is_number() ? size->to_number<std::int64_t>(error) : -1;
        if (error || bytes < 0 || bytes > kFileBytesMax || files.size() >= kFilesMax) {
            return Error{ErrorCode::io_error, "the hub's list of files makes no sense"};
        }
        file.size = Bytes(bytes);
        if (oid != nullptr && oid->is_string()) {
            std::string digest(oid->get_string());
            if (auto parsed =
                    Digest::parse(digest.starts_with("sha256:") ? digest : "sha256:" + digest);
                parsed.ok()) {
                file.digest = std::move(*parsed);
            }
        }
        files.push_back(std::move(file));
    }
    return {};
}

Result<HubChoice> choose_hub_files(const std::vector<HubFile>& files,
                                   const std::string& tag,
                                   const std::string& wanted_file) {
    std::vector<HubFile> models;
    std::copy_if(files.begin(), files.end(), std::back_inserter(models), is_first_part);
    const auto by_path = [](const HubFile& a, const HubFile& b) {
        return a.path < b.path;
    };
    std::sort(models.begin(), models.end(), by_path);
    if (models.empty()) {
        return Error{ErrorCode::not_found,
                     "the repository has no GGUF file; look for one whose name ends in -GGUF"};
    }
    const auto find_kind = [&models](std::string_view kind) {
        return std::find_if(models.begin(), models.end(), [kind](const HubFile& one) {
            return equals_ignoring_case(quantisation_of(one.path), kind);
        });
    };
    auto chosen = models.end();
    if (!wanted_file.empty()) {
        chosen = std::find_if(models.begin(), models.end(), [&](const HubFile& one) {
            return one.path == wanted_file;
        });
    } else if (equals_ignoring_case(tag, "latest")) {
        chosen = find_kind("Q4_K_M");
        chosen = chosen == models.end() ? find_kind("Q8_0") : chosen;
        chosen = chosen == models.end() ? models.begin() : chosen;
    } else {
        chosen = find_kind(tag);
        if (chosen == models.end()) {
            chosen = std::find_if(models.begin(), models.end(), [&](const HubFile& one) {
                return equals_ignoring_case(stem(one.path), tag);
            });
        }
    }
    if (chosen == models.end()) {
        return Error{ErrorCode::not_found,
                     "the repository has no '" + (wanted_file.empty() ? tag : wanted_file) +
                         "'; it has " + what_there_is(files)};
    }
    HubChoice choice{.model = all_parts(files, *chosen),
                     .projector = projector_for(files, *chosen)};
    if (choice.model.empty()) {
        return Error{ErrorCode::not_found, "a part of " + chosen->path + " is missing on the hub"};
    }
    return choice;
}

}  // namespace drover::store
