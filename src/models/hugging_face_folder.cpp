#include "models/hugging_face_folder.hpp"

#include <fstream>
#include <string>
#include <system_error>

#include "platform/files.hpp"

namespace drover::models {

namespace fs = std::filesystem;

namespace {

constexpr Bytes kConfigMax = 4_MiB;
constexpr std::size_t kLengthBytes = 8;

Result<SafetensorsFacts> read_tensors(const fs::path& file) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    std::ifstream stream(file, std::ios::binary);
    std::string start(kLengthBytes, '\0');
    if (error || !stream.read(start.data(), kLengthBytes)) {
        return Error{ErrorCode::invalid_argument, "cannot be read"};
    }
    const auto length = safetensors_head_length(start);
    if (!length.ok()) {
        return length.error();
    }
    if (*length + kLengthBytes > size) {
        return Error{ErrorCode::invalid_argument, "is shorter than its head"};
    }
    std::string head(*length, '\0');
    if (!stream.read(head.data(), static_cast<std::streamsize>(head.size()))) {
        return Error{ErrorCode::invalid_argument, "cannot be read"};
    }
    return parse_safetensors(head, size - *length - kLengthBytes);
}

}  // namespace

Result<HuggingFaceFacts> read_hugging_face_folder(const fs::path& folder) {
    const fs::path config_file = folder / "config.json";
    const auto text = platform::read_file(config_file, kConfigMax);
    if (!text.ok()) {
        return text.error();
    }
    auto config = parse_hugging_face_config(*text);
    if (!config.ok()) {
        return config.error().with(config_file.string());
    }
    HuggingFaceFacts facts{.config = std::move(*config), .tensors = {}};
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().extension() != ".safetensors") {
            continue;
        }
        const auto tensors = read_tensors(entry->path());
        if (!tensors.ok()) {
            return tensors.error().with(entry->path().string());
        }
        facts.tensors.tensors += tensors->tensors;
        facts.tensors.parameters += tensors->parameters;
        facts.tensors.stored += tensors->stored;
        facts.tensors.loaded += tensors->loaded;
    }
    if (facts.tensors.tensors == 0) {
        return Error{ErrorCode::not_found, folder.string() + " has no *.safetensors"};
    }
    return facts;
}

}  // namespace drover::models
