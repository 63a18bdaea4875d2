#include "snapshots/state_file.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace drover::snapshots {

namespace {

constexpr std::uint32_t kStateMagic = 0x67677371;  // "ggsq"
constexpr std::uint32_t kVersion = 3;
/// In place of the first token: a list of tokens and media follows.
constexpr std::int32_t kPackedMark = -1;
constexpr std::uint32_t kPackedVersion = 1;
constexpr std::size_t kWord = sizeof(std::uint32_t);

// Far above anything real; a damaged count must not become a long loop.
constexpr std::uint32_t kStreamsMax = 4096;
constexpr std::uint32_t kLayersMax = 4096;

Error malformed(std::string_view what) {
    return {ErrorCode::invalid_argument,
            "not a state file as llama-server v0.5.0 writes them: " + std::string(what)};
}

/// Reads numbers one after the other; once it has run over the end, `ok` is false for good.
class Reader {
  public:
    explicit Reader(std::string_view bytes, std::size_t at = 0) : bytes_(bytes), at_(at) {}

    template <typename Number>
    Number read() {
        Number number{};
        if (skip(sizeof(Number))) {
            std::memcpy(&number, bytes_.data() + at_ - sizeof(Number), sizeof(Number));
        }
        return number;
    }

    /// Steps over `count` times `size` bytes.
    bool skip(std::uint64_t count, std::uint64_t size = 1) {
        const std::uint64_t left = bytes_.size() - at_;
        if (!ok_ || (size != 0 && count > left / size)) {
            ok_ = false;
            return false;
        }
        at_ += static_cast<std::size_t>(count * size);
        return true;
    }

    bool ok() const { return ok_; }
    void fail() { ok_ = false; }
    std::size_t at() const { return at_; }
    bool at_end() const { return at_ == bytes_.size(); }

  private:
    std::string_view bytes_;
    std::size_t at_;
    bool ok_ = true;
};

template <typename Number>
std::string bytes_of(Number number) {
    std::string bytes(sizeof(Number), '\0');
    std::memcpy(bytes.data(), &number, sizeof(Number));
    return bytes;
}

/// One cell of the cache: position, number of sequences (always one here), the sequence.
std::string cell(std::int32_t position, std::int32_t sequence) {
    return bytes_of(position) + bytes_of(std::uint32_t{1}) + bytes_of(sequence);
}

constexpr std::size_t kCell = 3 * kWord;

/// The K or V rows of one layer: with one more, empty, at their end.
void walk_rows(Reader& reader, std::uint32_t cells, std::vector<Edit>& edits) {
    reader.read<std::int32_t>();  // type
    const auto row = reader.read<std::uint64_t>();
    if (reader.skip(cells, row)) {
        edits.push_back({reader.at(), 0, std::string(static_cast<std::size_t>(row), '\0')});
    }
}

/// The V of one layer when it is stored by element: each element's row becomes one longer.
void walk_transposed(Reader& reader, std::uint32_t cells, std::vector<Edit>& edits) {
    reader.read<std::int32_t>();  // type
    const auto element = reader.read<std::uint32_t>();
    const auto width = reader.read<std::uint32_t>();
    for (std::uint32_t i = 0; i < width && reader.skip(cells, element); ++i) {
        edits.push_back({reader.at(), 0, std::string(element, '\0')});
    }
}

/// One cache within the file, at most one of whose streams has cells. Gives the edits that add a
/// cell two positions before its first one, or none when there is no such position.
std::vector<Edit> walk_cache(Reader& reader) {
    std::vector<Edit> edits;
    const auto streams = reader.read<std::uint32_t>();
    if (streams == 0 || streams > kStreamsMax) {
        reader.fail();
    }
    std::int32_t first = std::numeric_limits<std::int32_t>::max();
    for (std::uint32_t stream = 0; stream < streams && reader.ok(); ++stream) {
        const std::size_t count_at = reader.at();
        const auto cells = reader.read<std::uint32_t>();
        if (cells == 0) {
            continue;
        }
        Reader ahead = reader;
        if (!edits.empty() || !ahead.skip(cells, kCell)) {
            reader.fail();
            break;
        }
        std::int32_t sequence = 0;
        for (std::uint32_t i = 0; i < cells; ++i) {
            first = std::min(first, reader.read<std::int32_t>());
            if (reader.read<std::uint32_t>() != 1) {
                reader.fail();
            }
            sequence = reader.read<std::int32_t>();
        }
        edits.push_back({count_at, kWord, bytes_of(cells + 1)});
        edits.push_back({reader.at(), 0, cell(first - 2, sequence)});
        const bool transposed = reader.read<std::uint32_t>() != 0;
        const auto layers = reader.read<std::uint32_t>();
        if (layers > kLayersMax) {
            reader.fail();
        }
        for (std::uint32_t layer = 0; layer < layers && reader.ok(); ++layer) {
            walk_rows(reader, cells, edits);
        }
        for (std::uint32_t layer = 0; layer < layers && reader.ok(); ++layer) {
            if (transposed) {
                walk_transposed(reader, cells, edits);
            } else {
                walk_rows(reader, cells, edits);
            }
        }
    }
    return first >= 2 && first != std::numeric_limits<std::int32_t>::max() ? std::move(edits)
                                                                           : std::vector<Edit>();
}

}  // namespace

Result<std::size_t> head_size(std::string_view start) {
    Reader reader(start);
    const auto magic = reader.read<std::uint32_t>();
    const auto version = reader.read<std::uint32_t>();
    const auto words = reader.read<std::uint32_t>();
    if (!reader.ok() || magic != kStateMagic || version != kVersion) {
        return malformed("it begins differently");
    }
    return reader.at() + std::size_t{words} * kWord;
}

Result<StateHead> read_head(std::string_view file) {
    const auto size = head_size(file.substr(0, kHeadStart));
    if (!size.ok()) {
        return size.error();
    }
    if (*size > file.size()) {
        return malformed("it ends within its tokens");
    }
    Reader reader(file.substr(0, *size), kHeadStart);
    std::size_t count = (*size - kHeadStart) / kWord;
    StateHead head{.size = *size};
    Reader mark = reader;
    if (count > 0 && mark.read<std::int32_t>() == kPackedMark) {
        if (mark.read<std::uint32_t>() != kPackedVersion) {
            return malformed("its list of tokens has an unknown version");
        }
        count = mark.read<std::uint32_t>();
        reader = mark;
    }
    if (!Reader(reader).skip(count, kWord)) {
        return malformed("it has fewer tokens than it says");
    }
    head.tokens.resize(count);
    for (std::int32_t& token : head.tokens) {
        token = reader.read<std::int32_t>();
        head.media = head.media || token < 0;
    }
    return head;
}

Result<std::vector<Edit>> admit_window(std::string_view file) {
    const auto head = read_head(file);
    if (!head.ok()) {
        return head.error();
    }
    Reader reader(file, head->size);
    walk_cache(reader);  // layers that see everything
    std::vector<Edit> edits = walk_cache(reader);
    if (!reader.ok() || !reader.at_end()) {
        return malformed("its cache is not one of plain and one of sliding layers");
    }
    if (edits.empty()) {
        return Error{ErrorCode::not_found, "the conversation is shorter than the model's window"};
    }
    return edits;
}

}  // namespace drover::snapshots
