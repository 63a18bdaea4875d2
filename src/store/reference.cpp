#include "store/reference.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "models/naming.hpp"
#include "store/digest.hpp"

namespace drover::store {

namespace {

// Ollama's bounds, except that repositories on the hub may have longer names.
constexpr std::size_t kHostMax = 350;
constexpr std::size_t kPartMax = 96;
constexpr std::size_t kUrlMax = 4096;
/// A name in a message is cut: a client may send anything.
constexpr std::size_t kShownMax = 200;

constexpr std::string_view kForms =
    "write a name such as qwen3:8b, hf.co/ORG/REPO:Q4_K_M, https://HOST/PATH/MODEL.gguf or "
    "./MODEL.gguf";

Error bad(std::string_view text, std::string_view why) {
    std::string shown(text.substr(0, kShownMax));
    for (char& c : shown) {
        c = static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
    return {ErrorCode::invalid_argument,
            "'" + shown + "' names no model: " + std::string(why) + "; " + std::string(kForms)};
}

bool is_alphanumeric(char c) {
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
}

bool is_part(std::string_view text, std::size_t longest, std::string_view also) {
    if (text.empty() || text.size() > longest ||
        (!is_alphanumeric(text.front()) && text.front() != '_')) {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [also](char c) {
        return is_alphanumeric(c) || c == '-' || c == '_' || also.find(c) != also.npos;
    });
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    std::size_t begin = 0;
    for (std::size_t end = text.find(at); end != text.npos; end = text.find(at, begin)) {
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    parts.push_back(text.substr(begin));
    return parts;
}

bool is_gguf(std::string_view path) {
    return path.size() > 5 && equals_ignoring_case(path.substr(path.size() - 5), ".gguf");
}

/// The text behind the first of `prefixes` that it begins with.
template <std::size_t N>
std::optional<std::string_view> after(std::string_view text,
                                      const std::array<std::string_view, N>& prefixes) {
    for (const std::string_view prefix : prefixes) {
        if (text.size() >= prefix.size() &&
            equals_ignoring_case(text.substr(0, prefix.size()), prefix)) {
            return text.substr(prefix.size());
        }
    }
    return std::nullopt;
}

/// "tiny-chat:q4_0" for ".../Tiny-Chat.Q4_0.gguf": what a file without a registry is called.
Result<ModelName> name_of_file(std::string_view text, std::string_view file) {
    std::string stem = to_lower(file.substr(0, file.size() - 5));
    if (const auto part = models::parse_split_name(stem); part.has_value()) {
        stem = part->base;
    }
    for (char& c : stem) {
        c = is_alphanumeric(c) || c == '-' || c == '_' || c == '.' ? c : '-';
    }
    ModelName name;
    name.model = models::short_name(stem);
    if (name.model.size() + 1 < stem.size()) {
        name.tag = stem.substr(name.model.size() + 1);
    }
    if (!is_part(name.model, kPartMax, ".") || !is_part(name.tag, kPartMax, ".")) {
        return bad(text, "its file name cannot be made a model name");
    }
    return name;
}

/// ORG/REPO[@REVISION][:TAG], ORG/REPO[@REVISION]/FILE.gguf, or what a browser shows:
/// ORG/REPO/tree/REVISION and ORG/REPO/resolve/REVISION/FILE.gguf.
Result<Reference> parse_hub(std::string_view whole, std::string_view text) {
    Reference reference{.kind = ReferenceKind::hub};
    const std::vector<std::string_view> parts = split(text, '/');
    if (parts.size() < 2) {
        return bad(whole, "the hub's repositories are called ORG/REPO");
    }
    std::string_view repository = parts[1];
    std::string_view tag = "latest";
    const bool shows_tree = parts.size() == 4 && parts[2] == "tree";
    const bool shows_file = parts.size() > 4 && (parts[2] == "resolve" || parts[2] == "blob");
    std::string_view revision = shows_tree || shows_file ? parts[3] : std::string_view();
    if (parts.size() == 2) {
        if (const std::size_t colon = repository.find(':'); colon != repository.npos) {
            tag = repository.substr(colon + 1);
            repository = repository.substr(0, colon);
        }
    }
    if (const std::size_t at = repository.find('@'); at != repository.npos) {
        revision = repository.substr(at + 1);
        repository = repository.substr(0, at);
        if (revision.empty()) {
            return bad(whole, "no revision follows the @");
        }
    }
    if (parts.size() > 2 && !shows_tree) {
        const std::size_t first = shows_file ? 4 : 2;
        for (std::size_t i = first; i < parts.size(); ++i) {
            if (!is_part(parts[i], kPartMax * 2, ".+ ")) {
                return bad(whole,
                           "'" + std::string(parts[i].substr(0, kShownMax)) +
                               "' cannot be a part of a path");
            }
            reference.file_in_hub += (i == first ? "" : "/") + std::string(parts[i]);
        }
        if (!is_gguf(reference.file_in_hub)) {
            return bad(whole, "only .gguf files can be pulled");
        }
        auto name = name_of_file(whole, parts.back());
        if (!name.ok()) {
            return name.error();
        }
        reference.name.tag = name->tag;
        tag = reference.name.tag;
    }
    if (!is_part(parts[0], kPartMax, ".") || !is_part(repository, kPartMax, ".")) {
        return bad(whole, "the hub's repositories are called ORG/REPO");
    }
    if (!is_part(tag, kPartMax, ".")) {
        return bad(whole, "what follows the colon is no tag");
    }
    if (!revision.empty() && !is_part(revision, kPartMax, ".")) {
        return bad(whole,
                   "a revision is a branch, tag or commit without slashes; of a pull request write "
                   "the commit");
    }
    reference.name = {"hf.co", std::string(parts[0]), std::string(repository), std::string(tag)};
    if (!revision.empty() && revision != "main") {
        reference.revision = std::string(revision);
        reference.name.model += "@" + reference.revision;  // it is another model
    }
    return reference;
}

Result<Reference> parse_url(std::string_view text, std::string_view rest) {
    if (text.size() > kUrlMax) {
        return bad(text, "the URL is too long");
    }
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F;
    });
    const std::string_view host = rest.substr(0, rest.find('/'));
    if (!printable || host.empty() || host.find('@') != host.npos) {
        return bad(text, "the URL has no host, or holds a password or odd characters");
    }
    Reference reference{.kind = ReferenceKind::url};
    std::string_view url = text;
    if (const std::size_t hash = url.find('#'); hash != url.npos) {
        const auto digest = after(url.substr(hash), std::array<std::string_view, 1>{"#sha256="});
        if (!digest.has_value() || !Digest::parse("sha256:" + std::string(*digest)).ok()) {
            return bad(text, "only #sha256= with 64 hexadecimal digits may follow a URL");
        }
        reference.digest = to_lower(*digest);
        url = url.substr(0, hash);
    }
    const std::string_view path = url.substr(0, url.find('?'));
    if (is_gguf(path)) {
        auto name = name_of_file(text, path.substr(path.rfind('/') + 1));
        if (!name.ok()) {
            return name.error();
        }
        reference.name = std::move(*name);
        reference.url = std::string(url);
        return reference;
    }
    auto name = parse_model_name(rest);
    if (!name.ok()) {
        return name.error();
    }
    if (split(rest, '/').size() != 3) {
        return bad(text, "a registry's URL is SCHEME://HOST/NAMESPACE/MODEL:TAG");
    }
    const std::size_t scheme = text.size() - rest.size();
    reference.kind = ReferenceKind::registry;
    reference.base = to_lower(text.substr(0, scheme)) + std::string(host);
    reference.name = std::move(*name);
    return reference;
}

}  // namespace

std::string ModelName::display() const {
    const ModelName standard;
    std::string text;
    if (host != standard.host) {
        text = host + "/" + space + "/";
    } else if (space != standard.space) {
        text = space + "/";
    }
    return text + model + ":" + tag;
}

std::filesystem::path ModelName::path() const {
    return std::filesystem::path(host) / space / model / tag;
}

Result<ModelName> parse_model_name(std::string_view text) {
    ModelName name;
    std::vector<std::string_view> parts = split(text, '/');
    if (parts.size() > 3) {
        return bad(text, "it has more than three parts between slashes");
    }
    std::string_view last = parts.back();
    const bool of_hub = parts.size() == 3 && equals_ignoring_case(parts[0], "hf.co");
    if (last.find('@') != last.npos && !of_hub) {
        return bad(text, "a model cannot be asked for by its digest");
    }
    if (const std::size_t colon = last.find(':'); colon != last.npos) {
        name.tag = std::string(last.substr(colon + 1));
        last = last.substr(0, colon);
    }
    name.model = std::string(last);
    if (parts.size() > 1) {
        name.space = std::string(parts[parts.size() - 2]);
    }
    if (parts.size() > 2) {
        name.host = std::string(parts[0]);
    }
    if (!is_part(name.model, of_hub ? kPartMax * 2 : kPartMax, of_hub ? ".@" : ".")) {
        return bad(text,
                   name.model.empty() ? "the model's name is missing"
                                      : "the model's name has characters that are not allowed"
                                        " or is too long");
    }
    if (!is_part(name.tag, kPartMax, ".")) {
        return bad(text, "what follows the colon is no tag");
    }
    if (!is_part(name.space, kPartMax, ".")) {
        return bad(text, "the name before the slash is no namespace");
    }
    if (!is_part(name.host, kHostMax, ".:")) {
        return bad(text, "what stands before the first slash is no host");
    }
    return name;
}

Result<Reference> parse_reference(std::string_view text) {
    constexpr std::array<std::string_view, 6> kHub{"https://hf.co/",
                                                   "https://huggingface.co/",
                                                   "https://www.huggingface.co/",
                                                   "hf.co/",
                                                   "huggingface.co/",
                                                   "hf:"};
    constexpr std::array<std::string_view, 2> kWeb{"https://", "http://"};
    constexpr std::array<std::string_view, 4> kPaths{"/", "./", "../", "~/"};
    if (text.empty()) {
        return bad(text, "it is empty");
    }
    if (text.find('\0') != text.npos) {
        return bad(text, "it holds a zero byte");
    }
    if (const auto hub = after(text, kHub); hub.has_value()) {
        return parse_hub(text, *hub);
    }
    if (const auto web = after(text, kWeb); web.has_value()) {
        return parse_url(text, *web);
    }
    if (after(text, kPaths).has_value() || is_gguf(text)) {
        if (!is_gguf(text)) {
            return bad(text, "only .gguf files can be used");
        }
        Reference reference{.kind = ReferenceKind::file};
        auto name = name_of_file(text, text.substr(text.rfind('/') + 1));
        if (!name.ok()) {
            return name.error();
        }
        reference.name = std::move(*name);
        reference.file = std::filesystem::path(text);
        return reference;
    }
    auto name = parse_model_name(text);
    if (!name.ok()) {
        return name.error();
    }
    Reference reference;
    if (name->host != ModelName().host) {
        reference.base = "https://" + name->host;
    }
    reference.name = std::move(*name);
    return reference;
}

}  // namespace drover::store
