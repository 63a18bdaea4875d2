#include "cli/prompt_embeddings.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>

#include <unistd.h>

#include "router/embedding_request.hpp"

namespace drover::cli {

namespace {

constexpr std::size_t kBatch = 32;

using Vectors = std::vector<std::vector<float>>;

Result<Vectors> embed(const Client& client,
                      const std::string& model,
                      const std::vector<std::string_view>& texts) {
    const auto answer =
        client.post("/v1/embeddings", boost::json::parse(router::embedding_body(model, texts)));
    if (!answer.ok()) {
        return answer.error();
    }
    return router::read_embeddings(*answer, texts.size());
}

}  // namespace

Result<router::Embeddings> embed_prompts(const Client& client,
                                         const std::string& model,
                                         const router::Dataset& data) {
    const bool shown = ::isatty(STDERR_FILENO) == 1;
    const std::size_t count = data.examples.size();
    router::Embeddings embeddings{.model = model};
    for (std::size_t begin = 0; begin < count; begin += kBatch) {
        std::vector<std::string_view> texts;
        for (std::size_t i = begin; i < std::min(begin + kBatch, count); ++i) {
            texts.push_back(data.examples[i].prompt);
        }
        const auto vectors = embed(client, model, texts);
        if (!vectors.ok()) {
            return vectors.error().with("prompts " + std::to_string(begin + 1) + " to " +
                                        std::to_string(begin + texts.size()));
        }
        for (const std::vector<float>& vector : *vectors) {
            embeddings.values.insert(embeddings.values.end(), vector.begin(), vector.end());
        }
        embeddings.size = static_cast<std::uint32_t>(vectors->front().size());
        if (shown) {
            std::fprintf(stderr, "\r%zu of %zu prompts embedded", begin + texts.size(), count);
        }
    }
    if (shown) {
        std::fputs("\n", stderr);
    }
    return embeddings;
}

}  // namespace drover::cli
