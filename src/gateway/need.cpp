#include "gateway/need.hpp"

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

}  // namespace drover::gateway
