#include "gateway/multipart.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "base/text.hpp"

namespace drover::gateway {

namespace {

/// RFC 2046 allows 70 characters.
constexpr std::size_t kBoundaryMax = 70;
/// A part's own headers are few; what is longer is not the field that is looked for.
constexpr std::size_t kPartHeadMax = 4096;
constexpr std::size_t kValueMax = 512;

/// The value of `; key=value` or `; key="value"` in a header value; nullopt when it has none.
std::optional<std::string_view> parameter(std::string_view header, std::string_view key) {
    for (std::size_t at = header.find(';'); at != std::string_view::npos;
         at = header.find(';', at + 1)) {
        std::string_view rest = header.substr(at + 1);
        rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
        if (rest.size() <= key.size() || rest[key.size()] != '=' ||
            !equals_ignoring_case(rest.substr(0, key.size()), key)) {
            continue;
        }
        rest.remove_prefix(key.size() + 1);
        if (rest.starts_with('"')) {
            return rest.substr(1, rest.find('"', 1) - 1);
        }
        return rest.substr(0, rest.find_first_of("; \t\r\n"));
    }
    return std::nullopt;
}

/// The part's Content-Disposition says that it is the form field `name`.
bool names_field(std::string_view head, std::string_view name) {
    constexpr std::string_view kDisposition = "content-disposition:";
    while (!head.empty()) {
        const std::size_t end = std::min(head.find("\r\n"), head.size());
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(std::min(end + 2, head.size()));
        if (line.size() > kDisposition.size() &&
            equals_ignoring_case(line.substr(0, kDisposition.size()), kDisposition)) {
            return parameter(line, "name") == name;
        }
    }
    return false;
}

/// What parts of the body begin with, "--" and its boundary.
Result<std::string> delimiter_of(std::string_view content_type) {
    const auto boundary = parameter(content_type, "boundary");
    if (!boundary.has_value() || boundary->empty() || boundary->size() > kBoundaryMax) {
        return Error{ErrorCode::invalid_argument,
                     "a multipart/form-data body with a boundary was expected"};
    }
    return "--" + std::string(*boundary);
}

/// Where the field's value stands in `body`; nullopt: there is no such field.
Result<std::optional<std::string_view>> find_value(std::string_view body,
                                                   const std::string& delimiter,
                                                   std::string_view name) {
    std::size_t at = body.find(delimiter);
    while (at != std::string_view::npos) {
        std::string_view part = body.substr(at + delimiter.size());
        const std::size_t head_end = part.substr(0, kPartHeadMax).find("\r\n\r\n");
        if (head_end != std::string_view::npos && names_field(part.substr(0, head_end), name)) {
            part.remove_prefix(head_end + 4);
            const std::size_t value_end = part.find("\r\n" + delimiter);
            if (value_end == std::string_view::npos || value_end > kValueMax) {
                return Error{ErrorCode::invalid_argument,
                             "the form field \"" + std::string(name) + "\" is cut off or too long"};
            }
            return std::optional(part.substr(0, value_end));
        }
        at = body.find(delimiter, at + delimiter.size());
    }
    return std::optional<std::string_view>();
}

}  // namespace

Result<std::string> multipart_field(std::string_view content_type,
                                    std::string_view body,
                                    std::string_view name) {
    const Result<std::string> delimiter = delimiter_of(content_type);
    if (!delimiter.ok()) {
        return delimiter.error();
    }
    const auto value = find_value(body, *delimiter, name);
    if (!value.ok()) {
        return value.error();
    }
    return std::string(value->value_or(""));
}

Result<std::string> with_multipart_field(std::string_view content_type,
                                         std::string_view body,
                                         std::string_view name,
                                         std::string_view value) {
    const Result<std::string> delimiter = delimiter_of(content_type);
    if (!delimiter.ok()) {
        return delimiter.error();
    }
    const auto old = find_value(body, *delimiter, name);
    if (!old.ok()) {
        return old.error();
    }
    std::string changed;
    if (old->has_value()) {
        const auto begin = static_cast<std::size_t>((*old)->data() - body.data());
        changed.append(body.substr(0, begin)).append(value);
        return changed.append(body.substr(begin + (*old)->size()));
    }
    changed.append(*delimiter).append("\r\nContent-Disposition: form-data; name=\"").append(name);
    changed.append("\"\r\n\r\n").append(value).append("\r\n");
    return changed.append(body.substr(std::min(body.find(*delimiter), body.size())));
}

}  // namespace drover::gateway
