#include "models/header_file.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <system_error>
#include <utility>
#include <variant>

#include "models/gguf.hpp"
#include "models/naming.hpp"

namespace drover::models {

namespace {

/// Holds most headers; large vocabularies need a few rounds more, each at least twice as long.
constexpr std::uint64_t kFirstRead = std::uint64_t{1} << 20;

/// Extends `bytes` to `size` bytes of the file; false when the file cannot be read that far.
bool read_up_to(std::ifstream& stream, std::vector<std::byte>& bytes, std::uint64_t size) {
    const std::size_t have = bytes.size();
    bytes.resize(size);
    stream.read(reinterpret_cast<char*>(bytes.data() + have),
                static_cast<std::streamsize>(size - have));
    return stream.good();
}

}  // namespace

Result<FilePart> read_part(const std::filesystem::path& file) {
    std::error_code error;
    const std::uint64_t file_bytes = std::filesystem::file_size(file, error);
    if (error) {
        const bool missing = error == std::errc::no_such_file_or_directory;
        return Error{missing ? ErrorCode::not_found : ErrorCode::io_error,
                     file.string() + ": " + error.message()};
    }
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
        return Error{ErrorCode::io_error, file.string() + ": cannot be opened"};
    }
    std::vector<std::byte> bytes;
    std::uint64_t wanted = std::min(kFirstRead, file_bytes);
    while (true) {
        if (!read_up_to(stream, bytes, wanted)) {
            return Error{ErrorCode::io_error, file.string() + ": cannot be read"};
        }
        auto header = gguf::read_header(bytes, file_bytes);
        if (!header.ok()) {
            return header.error().with(file.string());
        }
        if (auto* complete = std::get_if<gguf::Header>(&header.value()); complete != nullptr) {
            return FilePart{std::move(*complete), file_bytes};
        }
        const std::uint64_t needed = std::get<gguf::Incomplete>(header.value()).bytes_needed;
        wanted = std::min(file_bytes, std::max(needed, wanted * 2));
    }
}

Result<std::vector<std::filesystem::path>> files_of_model(const std::filesystem::path& file) {
    const auto split = parse_split_name(file.stem().string());
    if (!split.has_value()) {
        return std::vector{file};
    }
    std::vector<std::filesystem::path> files;
    for (std::uint32_t part = 1; part <= split->count; ++part) {
        auto path = file.parent_path() / (split->stem_of(part) + file.extension().string());
        std::error_code error;
        if (!std::filesystem::is_regular_file(path, error)) {
            return Error{ErrorCode::not_found,
                         "file " + std::to_string(part) + " of " + std::to_string(split->count) +
                             " is missing: " + path.string()};
        }
        files.push_back(std::move(path));
    }
    return files;
}

Result<ModelFacts> read_facts(const std::vector<std::filesystem::path>& files) {
    std::vector<FilePart> parts;
    for (const auto& file : files) {
        auto part = read_part(file);
        if (!part.ok()) {
            return part.error();
        }
        parts.push_back(std::move(part).value());
    }
    auto facts = facts_from(parts);
    return facts.ok() ? std::move(facts) : facts.error().with(files.front().string());
}

}  // namespace drover::models
