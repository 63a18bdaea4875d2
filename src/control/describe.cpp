// What a model's file says of itself, read when somebody asks.
#include <algorithm>
#include <utility>

#include "control/control_loop.hpp"
#include "models/header_file.hpp"

namespace drover::control {

namespace {

using models::gguf::Array;
using models::gguf::Header;

MetadataValue metadata_value(const models::gguf::Value& value) {
    struct Visitor {
        MetadataValue operator()(const Array& array) const { return array.numbers; }
        MetadataValue operator()(const std::string& text) const { return text; }
        MetadataValue operator()(double number) const { return number; }
        MetadataValue operator()(std::uint64_t number) const { return number; }
        MetadataValue operator()(std::int64_t number) const { return number; }
        MetadataValue operator()(bool flag) const { return flag; }
    };
    return std::visit(Visitor{}, value);
}

TensorView tensor_view(const models::gguf::Tensor& tensor) {
    TensorView view{.name = tensor.name, .type = std::string(tensor.type->name), .shape = {}};
    std::transform(view.type.begin(), view.type.end(), view.type.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    view.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dimensions);
    return view;
}

/// Blocks on the disk.
Result<ModelDescription> read_description(const std::vector<std::filesystem::path>& files) {
    ModelDescription description;
    for (const std::filesystem::path& file : files) {
        const auto part = models::read_part(file);
        if (!part.ok()) {
            return part.error();
        }
        const Header& header = part->header;
        if (&file == &files.front()) {
            for (const auto& [key, value] : header.metadata) {
                description.metadata.emplace(key, metadata_value(value));
            }
            description.licence = header.text("general.license").value_or("");
            description.chat_template = header.text("tokenizer.chat_template").value_or("");
        }
        for (const models::gguf::Tensor& tensor : header.tensors) {
            description.tensors.push_back(tensor_view(tensor));
        }
    }
    return description;
}

}  // namespace

const ModelView* ControlLoop::look(ModelId model) const {
    if (Remotes::has(model)) {
        return remotes_.look(model);
    }
    const auto found = models_.find(model);
    return found == models_.end() ? nullptr : &found->second.view;
}

platform::Task<Result<ModelDescription>> ControlLoop::describe(ModelId model) {
    if (Remotes::has(model)) {
        co_return ModelDescription();  // its server has the files
    }
    const models::Model* found = registry_.find(model);
    if (found == nullptr) {
        co_return Error{ErrorCode::not_found, "the model is gone"};
    }
    if (found->engine != config::EngineKind::llama_cpp) {
        co_return ModelDescription();  // its engine reads the files
    }
    auto read = [files = found->files] {
        return read_description(files);
    };
    co_return co_await pool_.run(std::move(read));
}

}  // namespace drover::control
