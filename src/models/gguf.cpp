#include "models/gguf.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

namespace drover::models::gguf {

namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are read in place");

/// Value types of the format, in its numbering.
enum class ValueType : std::uint32_t {
    uint8,
    int8,
    uint16,
    int16,
    uint32,
    int32,
    float32,
    boolean,
    string,
    array,
    uint64,
    int64,
    float64,
};
constexpr std::uint32_t kValueTypes = 13;

constexpr std::uint64_t kKeyBytesMax = 65535;
constexpr std::uint64_t kNameBytesMax = 63;  // ggml's limit
constexpr std::uint64_t kAlignmentMax = 1U << 20;
// Far above real files (the largest mixtures of experts have some 50,000 tensors unmerged), and low
// enough that the small entries of a hostile header cannot blow up in memory.
constexpr std::uint64_t kPairsMax = 1U << 16;
constexpr std::uint64_t kTensorsMax = 1U << 18;

std::uint64_t width_of(ValueType type) {
    switch (type) {
        case ValueType::uint8:
        case ValueType::int8:
        case ValueType::boolean:
            return 1;
        case ValueType::uint16:
        case ValueType::int16:
            return 2;
        case ValueType::uint32:
        case ValueType::int32:
        case ValueType::float32:
            return 4;
        case ValueType::uint64:
        case ValueType::int64:
        case ValueType::float64:
            return 8;
        case ValueType::string:
        case ValueType::array:
            return 0;
    }
    DROVER_UNREACHABLE();
}

/// `a + b`, or the largest number: lengths near it are over every limit anyway.
std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    return a > std::numeric_limits<std::uint64_t>::max() - b
               ? std::numeric_limits<std::uint64_t>::max()
               : a + b;
}

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
    if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) {
        return std::nullopt;
    }
    return a * b;
}

/// Goes through the prefix once. The first failure sticks: later reads return zeros, and callers
/// look at ok() before they use a length. `needed` tells a short prefix from a bad file.
class Cursor {
  public:
    explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    bool ok() const { return needed_ == 0; }
    std::uint64_t needed() const { return needed_; }
    std::uint64_t position() const { return position_; }

    /// The next `count` bytes, or nullptr (and not ok) when the prefix ends before.
    const std::byte* take(std::uint64_t count) {
        if (!ok()) {
            return nullptr;
        }
        if (count > bytes_.size() - position_) {
            needed_ = add(position_, count);
            return nullptr;
        }
        const std::byte* at = bytes_.data() + position_;
        position_ += count;
        return at;
    }

    template <typename T>
    T read() {
        T value{};
        if (const std::byte* at = take(sizeof(T)); at != nullptr) {
            std::memcpy(&value, at, sizeof(T));
        }
        return value;
    }

    std::string_view read_string() {
        const auto length = read<std::uint64_t>();
        const std::byte* at = take(length);
        return at == nullptr ? std::string_view()
                             : std::string_view(reinterpret_cast<const char*>(at), length);
    }

  private:
    std::span<const std::byte> bytes_;
    std::uint64_t position_ = 0;
    std::uint64_t needed_ = 0;
};

double read_as_double(Cursor& cursor, ValueType type) {
    switch (type) {
        case ValueType::uint8:
        case ValueType::boolean:
            return cursor.read<std::uint8_t>();
        case ValueType::int8:
            return cursor.read<std::int8_t>();
        case ValueType::uint16:
            return cursor.read<std::uint16_t>();
        case ValueType::int16:
            return cursor.read<std::int16_t>();
        case ValueType::uint32:
            return cursor.read<std::uint32_t>();
        case ValueType::int32:
            return cursor.read<std::int32_t>();
        case ValueType::float32:
            return cursor.read<float>();
        case ValueType::uint64:
            return static_cast<double>(cursor.read<std::uint64_t>());
        case ValueType::int64:
            return static_cast<double>(cursor.read<std::int64_t>());
        case ValueType::float64:
            return cursor.read<double>();
        case ValueType::string:
        case ValueType::array:
            break;
    }
    DROVER_UNREACHABLE();
}

/// Reads one header. Not ok() of the cursor means "give me more bytes"; an Error means "no GGUF".
class HeaderReader {
  public:
    explicit HeaderReader(std::span<const std::byte> prefix) : cursor_(prefix) {}

    Result<std::variant<Header, Incomplete>> read(std::uint64_t file_bytes) {
        Status status = read_all();
        if (!status.ok()) {
            return status.error();
        }
        if (!cursor_.ok()) {
            return incomplete(file_bytes);
        }
        DROVER_TRY(check_data(file_bytes));
        return std::variant<Header, Incomplete>(std::move(header_));
    }

  private:
    Status read_all() {
        std::uint64_t tensors = 0;
        std::uint64_t entries = 0;
        DROVER_TRY(read_preamble(tensors, entries));
        // Counts come from the file, so nothing is reserved for them: each entry that is really
        // there takes bytes of the prefix, and that bounds the loops and what they allocate.
        for (std::uint64_t i = 0; i < entries && cursor_.ok(); ++i) {
            DROVER_TRY(read_entry());
        }
        DROVER_TRY(read_alignment());
        for (std::uint64_t i = 0; i < tensors && cursor_.ok(); ++i) {
            DROVER_TRY(read_tensor());
        }
        if (cursor_.ok()) {
            const std::uint64_t mask = header_.alignment - 1;
            header_.data_offset = (cursor_.position() + mask) & ~mask;
        }
        return {};
    }

    Status read_preamble(std::uint64_t& tensors, std::uint64_t& entries) {
        const std::byte* magic = cursor_.take(4);
        if (magic != nullptr && std::memcmp(magic, "GGUF", 4) != 0) {
            return invalid("not a GGUF file");
        }
        header_.version = cursor_.read<std::uint32_t>();
        if (!cursor_.ok()) {
            return {};
        }
        if ((header_.version & 0xFFFFU) == 0 && header_.version != 0) {
            return invalid("GGUF file for big-endian machines");
        }
        if (header_.version != 2 && header_.version != 3) {
            return invalid("GGUF version " + std::to_string(header_.version) +
                           "; versions 2 and 3 can be loaded");
        }
        tensors = cursor_.read<std::uint64_t>();
        entries = cursor_.read<std::uint64_t>();
        if (tensors > kTensorsMax || entries > kPairsMax) {
            return invalid("GGUF header claims " + std::to_string(tensors) + " tensors and " +
                           std::to_string(entries) + " metadata entries");
        }
        return {};
    }

    Status read_entry() {
        const std::string_view key = cursor_.read_string();
        const auto type = cursor_.read<std::uint32_t>();
        if (!cursor_.ok()) {
            return {};
        }
        if (key.empty() || key.size() > kKeyBytesMax) {
            return invalid("GGUF metadata with an empty or overlong key");
        }
        if (type >= kValueTypes) {
            return invalid("GGUF key '" + printable(key) + "' has unknown type " +
                           std::to_string(type));
        }
        Value value;
        DROVER_TRY(read_value(key, static_cast<ValueType>(type), value));
        if (cursor_.ok() && !header_.metadata.emplace(key, std::move(value)).second) {
            return invalid("GGUF key '" + printable(key) + "' appears twice");
        }
        return {};
    }

    Status read_value(std::string_view key, ValueType type, Value& value) {
        switch (type) {
            case ValueType::uint8:
                value = std::uint64_t{cursor_.read<std::uint8_t>()};
                return {};
            case ValueType::uint16:
                value = std::uint64_t{cursor_.read<std::uint16_t>()};
                return {};
            case ValueType::uint32:
                value = std::uint64_t{cursor_.read<std::uint32_t>()};
                return {};
            case ValueType::uint64:
                value = cursor_.read<std::uint64_t>();
                return {};
            case ValueType::int8:
                value = std::int64_t{cursor_.read<std::int8_t>()};
                return {};
            case ValueType::int16:
                value = std::int64_t{cursor_.read<std::int16_t>()};
                return {};
            case ValueType::int32:
                value = std::int64_t{cursor_.read<std::int32_t>()};
                return {};
            case ValueType::int64:
                value = cursor_.read<std::int64_t>();
                return {};
            case ValueType::float32:
                value = double{cursor_.read<float>()};
                return {};
            case ValueType::float64:
                value = cursor_.read<double>();
                return {};
            case ValueType::boolean:
                value = cursor_.read<std::uint8_t>() != 0;
                return {};
            case ValueType::string:
                value = std::string(cursor_.read_string().substr(0, kStringBytesKept));
                return {};
            case ValueType::array:
                return read_array(key, value);
        }
        DROVER_UNREACHABLE();
    }

    Status read_array(std::string_view key, Value& value) {
        const auto type_number = cursor_.read<std::uint32_t>();
        Array array;
        array.count = cursor_.read<std::uint64_t>();
        if (!cursor_.ok()) {
            return {};
        }
        if (type_number >= kValueTypes || static_cast<ValueType>(type_number) == ValueType::array) {
            return invalid("GGUF key '" + printable(key) +
                           "' is an array of unknown or nested type");
        }
        const auto type = static_cast<ValueType>(type_number);
        if (type == ValueType::string) {
            for (std::uint64_t i = 0; i < array.count && cursor_.ok(); ++i) {
                (void)cursor_.read_string();
            }
        } else if (array.count <= kArrayElementsKept) {
            for (std::uint64_t i = 0; i < array.count && cursor_.ok(); ++i) {
                array.numbers.push_back(read_as_double(cursor_, type));
            }
        } else {
            const auto bytes = multiply(array.count, width_of(type));
            if (!bytes.has_value()) {
                return invalid("GGUF key '" + printable(key) + "' is an impossibly long array");
            }
            (void)cursor_.take(*bytes);
        }
        value = std::move(array);
        return {};
    }

    Status read_alignment() {
        if (!cursor_.ok() || header_.metadata.count("general.alignment") == 0) {
            return {};
        }
        header_.alignment = header_.number("general.alignment").value_or(0);
        if (!std::has_single_bit(header_.alignment) || header_.alignment > kAlignmentMax) {
            return invalid("GGUF general.alignment is not a power of two that can be used");
        }
        return {};
    }

    Status read_tensor() {
        Tensor tensor;
        const std::string_view name = cursor_.read_string();
        const auto dimensions = cursor_.read<std::uint32_t>();
        if (!cursor_.ok()) {
            return {};
        }
        if (name.size() > kNameBytesMax || dimensions > tensor.shape.size()) {
            return invalid("GGUF tensor '" + printable(name) + "' has an overlong name or " +
                           std::to_string(dimensions) + " dimensions");
        }
        tensor.name = name;
        for (std::uint32_t i = 0; i < dimensions; ++i) {
            tensor.shape[i] = cursor_.read<std::uint64_t>();
            if (tensor.shape[i] > 1) {
                tensor.dimensions = i + 1;
            }
        }
        const auto type = cursor_.read<std::uint32_t>();
        tensor.offset = cursor_.read<std::uint64_t>();
        if (!cursor_.ok()) {
            return {};
        }
        tensor.type = find_tensor_type(type);
        if (tensor.type == nullptr) {
            return invalid("GGUF tensor '" + printable(name) + "' has unknown type " +
                           std::to_string(type) + "; a newer file than this engine knows?");
        }
        if (!set_bytes(tensor)) {
            return invalid("GGUF tensor '" + printable(name) + "' has an impossible shape");
        }
        if (!names_.emplace(name).second) {
            return invalid("GGUF tensor '" + printable(name) + "' appears twice");
        }
        return place(std::move(tensor));
    }

    /// False when shape and type do not go together or the size overflows.
    static bool set_bytes(Tensor& tensor) {
        std::uint64_t elements = 1;
        for (const std::uint64_t extent : tensor.shape) {
            const auto product = multiply(elements, extent);
            if (!product.has_value() || *product > std::numeric_limits<std::int64_t>::max()) {
                return false;
            }
            elements = *product;
        }
        const auto row = tensor.type->row_bytes(tensor.shape[0]);
        if (!row.has_value()) {
            return false;
        }
        const auto rows = tensor.shape[0] == 0 ? 0 : elements / tensor.shape[0];
        const auto bytes = multiply(*row, rows);
        // Half the range, so that sums of two sizes cannot overflow.
        if (!bytes.has_value() || *bytes > std::numeric_limits<std::uint64_t>::max() / 2) {
            return false;
        }
        tensor.bytes = *bytes;
        return true;
    }

    /// The engine wants tensors back to back, each padded to the alignment; so does this.
    Status place(Tensor tensor) {
        if (tensor.offset != next_offset_) {
            return invalid("GGUF tensor '" + printable(tensor.name) +
                           "' is not where it should be");
        }
        header_.data_bytes = add(tensor.offset, tensor.bytes);
        const std::uint64_t mask = header_.alignment - 1;
        if (header_.data_bytes > std::numeric_limits<std::uint64_t>::max() / 2) {
            return invalid("GGUF tensors are impossibly large");
        }
        next_offset_ = (header_.data_bytes + mask) & ~mask;
        header_.tensors.push_back(std::move(tensor));
        return {};
    }

    Result<std::variant<Header, Incomplete>> incomplete(std::uint64_t file_bytes) const {
        const std::uint64_t needed = cursor_.needed();
        if (needed > file_bytes) {
            return invalid(
                "truncated GGUF file: the header goes on after the end of the file, at least " +
                std::to_string(needed - file_bytes) + " bytes are missing");
        }
        if (needed > kHeaderBytesMax) {
            return invalid("GGUF header is longer than " + std::to_string(kHeaderBytesMax) +
                           " bytes");
        }
        return std::variant<Header, Incomplete>(Incomplete{needed});
    }

    Status check_data(std::uint64_t file_bytes) const {
        const std::uint64_t end = add(header_.data_offset, header_.data_bytes);
        if (!header_.tensors.empty() && end > file_bytes) {
            return invalid("truncated GGUF file: " + std::to_string(end - file_bytes) + " of " +
                           std::to_string(end) + " bytes are missing");
        }
        return {};
    }

    /// Text from the file as it may go into a message.
    static std::string printable(std::string_view text) {
        constexpr std::size_t kShown = 80;
        std::string result(text.substr(0, kShown));
        std::replace_if(
            result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
        return result;
    }

    Cursor cursor_;
    Header header_;
    std::unordered_set<std::string> names_;
    std::uint64_t next_offset_ = 0;
};

template <typename T>
const T* find(const Header& header, std::string_view key) {
    const auto found = header.metadata.find(key);
    return found == header.metadata.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace

std::optional<std::uint64_t> Header::number(std::string_view key) const {
    if (const auto* value = find<std::uint64_t>(*this, key); value != nullptr) {
        return *value;
    }
    if (const auto* value = find<std::int64_t>(*this, key); value != nullptr && *value >= 0) {
        return static_cast<std::uint64_t>(*value);
    }
    return std::nullopt;
}

std::optional<bool> Header::boolean(std::string_view key) const {
    const auto* value = find<bool>(*this, key);
    return value == nullptr ? std::nullopt : std::optional<bool>(*value);
}

std::optional<std::string_view> Header::text(std::string_view key) const {
    const auto* value = find<std::string>(*this, key);
    return value == nullptr ? std::nullopt : std::optional<std::string_view>(*value);
}

const Array* Header::array(std::string_view key) const {
    return find<Array>(*this, key);
}

Result<std::variant<Header, Incomplete>> read_header(std::span<const std::byte> prefix,
                                                     std::uint64_t file_bytes) {
    return HeaderReader(prefix).read(file_bytes);
}

}  // namespace drover::models::gguf
