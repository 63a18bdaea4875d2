#include "gateway/need.hpp"

#include <string>

namespace drover::gateway {

Need need_of(std::string_view path) {
    return path.find("embed") != std::string_view::npos    ? Need::embedding
           : path.find("rerank") != std::string_view::npos ? Need::rerank
           : path.ends_with("/score")                      ? Need::rerank
                                                           : Need::generation;
}

std::string_view endpoint_kind(std::string_view path) {
    const auto has = [path](std::string_view part) {
        return path.find(part) != std::string_view::npos;
    };
    if (has("tokenize") || has("input_tokens") || has("count_tokens") || has("template")) {
        return "other";
    }
    return has("embed")                                              ? "embedding"
           : has("rerank")                                           ? "rerank"
           : has("chat") || has("/messages") || has("/responses")    ? "chat"
           : has("completion") || has("/generate") || has("/infill") ? "completion"
                                                                     : "other";
}

namespace {

/// Why a model of this task cannot, as the end of a sentence about it; empty: it can.
std::string cannot_serve(std::string_view path, std::string_view task) {
    const std::string_view kind = endpoint_kind(path);
    if (kind == "embedding" && task != "embedding") {
        return "makes no embeddings; ask a model whose task is embedding, or set `task: embedding` "
               "for this one";
    }
    if (kind == "rerank" && task != "rerank") {
        return "ranks no documents; ask a model whose task is rerank, or set `task: rerank` for "
               "this one if its file is a reranker's";
    }
    if ((kind == "chat" || kind == "completion") && task != "generate") {
        return std::string(task == "rerank" ? "ranks documents" : "makes embeddings") +
               " and generates no text; ask a model whose task is generate";
    }
    return {};
}

}  // namespace

Status check_need(const control::ModelView& model, std::string_view path) {
    const bool llama_cpp =
        !model.architecture.empty() && model.servers.empty() && !model.only_openai;
    const std::string lacks = llama_cpp ? cannot_serve(path, model.task) : std::string();
    return lacks.empty()
               ? Status()
               : Status(Error{ErrorCode::invalid_argument, "model '" + model.name + "' " + lacks});
}

}  // namespace drover::gateway
