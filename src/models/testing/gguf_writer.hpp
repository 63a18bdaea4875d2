// Builds small GGUF files in memory, for tests: valid ones, and wrong ones on request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drover::models::testing {

/// Collects metadata and tensors, then gives the bytes of the file (tensor data all zero).
class GgufWriter {
  public:
    explicit GgufWriter(std::uint32_t version = 3) : version_(version) {}

    GgufWriter& number(std::string_view key, std::uint32_t value) {
        begin(key, 4);
        put(entries_, value);
        return *this;
    }
    GgufWriter& boolean(std::string_view key, bool value) {
        begin(key, 7);
        entries_.push_back(static_cast<std::byte>(value));
        return *this;
    }
    GgufWriter& text(std::string_view key, std::string_view value) {
        begin(key, 8);
        put_string(entries_, value);
        return *this;
    }
    GgufWriter& numbers(std::string_view key, const std::vector<std::uint32_t>& values) {
        begin(key, 9);
        put(entries_, std::uint32_t{4});
        put(entries_, static_cast<std::uint64_t>(values.size()));
        for (const std::uint32_t value : values) {
            put(entries_, value);
        }
        return *this;
    }
    GgufWriter& booleans(std::string_view key, const std::vector<bool>& values) {
        begin(key, 9);
        put(entries_, std::uint32_t{7});
        put(entries_, static_cast<std::uint64_t>(values.size()));
        for (const bool value : values) {
            entries_.push_back(static_cast<std::byte>(value));
        }
        return *this;
    }
    GgufWriter& texts(std::string_view key, std::size_t count, std::string_view each = "token") {
        begin(key, 9);
        put(entries_, std::uint32_t{8});
        put(entries_, static_cast<std::uint64_t>(count));
        for (std::size_t i = 0; i < count; ++i) {
            put_string(entries_, each);
        }
        return *this;
    }
    /// A nested array: two empty arrays of numbers. Not allowed in files.
    GgufWriter& nested(std::string_view key) {
        begin(key, 9);
        put(entries_, std::uint32_t{9});
        put(entries_, std::uint64_t{2});
        for (int i = 0; i < 2; ++i) {
            put(entries_, std::uint32_t{4});
            put(entries_, std::uint64_t{0});
        }
        return *this;
    }
    /// A tensor of ggml type number `type` that takes `bytes` bytes, placed after the one before.
    GgufWriter& tensor(std::string_view name,
                       std::uint32_t type,
                       const std::vector<std::uint64_t>& shape,
                       std::uint64_t bytes) {
        put_string(tensors_, name);
        put(tensors_, static_cast<std::uint32_t>(shape.size()));
        for (const std::uint64_t extent : shape) {
            put(tensors_, extent);
        }
        put(tensors_, type);
        put(tensors_, data_bytes_);
        data_bytes_ += (bytes + 31) / 32 * 32;
        ++tensor_count_;
        return *this;
    }

    /// Magic, version, metadata and the table of tensors, padded to where the data begins.
    std::vector<std::byte> header() const {
        std::vector<std::byte> file;
        for (const char c : std::string_view("GGUF")) {
            file.push_back(static_cast<std::byte>(c));
        }
        put(file, version_);
        put(file, tensor_count_);
        put(file, entry_count_);
        file.insert(file.end(), entries_.begin(), entries_.end());
        file.insert(file.end(), tensors_.begin(), tensors_.end());
        file.resize((file.size() + 31) / 32 * 32);
        return file;
    }
    std::uint64_t data_bytes() const { return data_bytes_; }

    /// The whole file.
    std::vector<std::byte> file() const {
        std::vector<std::byte> bytes = header();
        bytes.resize(bytes.size() + data_bytes_);
        return bytes;
    }

  private:
    template <typename T>
    static void put(std::vector<std::byte>& out, T value) {
        const std::size_t at = out.size();
        out.resize(at + sizeof(T));
        std::memcpy(out.data() + at, &value, sizeof(T));
    }
    static void put_string(std::vector<std::byte>& out, std::string_view value) {
        put(out, static_cast<std::uint64_t>(value.size()));
        for (const char c : value) {
            out.push_back(static_cast<std::byte>(c));
        }
    }
    void begin(std::string_view key, std::uint32_t type) {
        put_string(entries_, key);
        put(entries_, type);
        ++entry_count_;
    }

    std::uint32_t version_;
    std::vector<std::byte> entries_;
    std::vector<std::byte> tensors_;
    std::uint64_t entry_count_ = 0;
    std::uint64_t tensor_count_ = 0;
    std::uint64_t data_bytes_ = 0;
};

/// A tiny decoder of architecture `llama` that the reader accepts: 2 layers, 4 heads of 8, 2 KV
/// heads.
inline GgufWriter tiny_llama() {
    GgufWriter writer;
    writer.text("general.architecture", "llama")
        .text("general.name", "Tiny Llama")
        .text("general.license", "mit")
        .number("general.file_type", 2)
        .number("llama.block_count", 2)
        .number("llama.context_length", 2048)
        .number("llama.embedding_length", 32)
        .number("llama.feed_forward_length", 64)
        .number("llama.attention.head_count", 4)
        .number("llama.attention.head_count_kv", 2)
        .texts("tokenizer.ggml.tokens", 16)
        .text("tokenizer.chat_template", "{{ messages }}")
        .tensor("token_embd.weight", 8, {32, 16}, 16 * 34)
        .tensor("blk.0.attn_q.weight", 2, {32, 32}, 32 * 18)
        .tensor("blk.0.attn_norm.weight", 0, {32}, 128)
        .tensor("blk.1.attn_q.weight", 2, {32, 30}, 30 * 18);
    return writer;
}

/// A tiny encoder for embeddings.
inline GgufWriter tiny_bert() {
    GgufWriter writer;
    writer.text("general.architecture", "bert")
        .number("bert.block_count", 1)
        .number("bert.context_length", 512)
        .number("bert.embedding_length", 32)
        .number("bert.feed_forward_length", 64)
        .number("bert.attention.head_count", 4)
        .boolean("bert.attention.causal", false)
        .number("bert.pooling_type", 1)
        .texts("tokenizer.ggml.tokens", 16)
        .tensor("token_embd.weight", 8, {32, 16}, 16 * 34)
        .tensor("blk.0.attn_q.weight", 8, {32, 32}, 32 * 34);
    return writer;
}

}  // namespace drover::models::testing
