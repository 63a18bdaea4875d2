#include "gateway/dialect/answer_shape.hpp"

#include <cstddef>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/completion_logprobs.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/dialect/messages_answer.hpp"
#include "gateway/dialect/responses_answer.hpp"
#include "gateway/dialect/short_embeddings.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// A request that is larger is not read a second time, which would hold up the loop.
constexpr std::size_t kRequestMax = std::size_t{16} << 20;

bool mentions(std::string_view body, std::string_view member) {
    return body.find(member) != body.npos;
}

json::object object_of(std::string_view body) {
    json::error_code failed;
    json::value value = body.size() > kRequestMax ? json::value() : json::parse(body, failed);
    return !failed && value.is_object() ? std::move(value.get_object()) : json::object();
}

}  // namespace

std::unique_ptr<AnswerTranslator> shape_of_answer(std::string_view path,
                                                  std::string_view body,
                                                  std::string_view model,
                                                  std::int64_t now_s) {
    if (path == "/v1/messages") {
        return std::make_unique<MessagesAnswer>();
    }
    if (path.starts_with("/v1/")) {
        path.remove_prefix(3);
    }
    if (path == "/responses") {
        return std::make_unique<ResponsesAnswer>(object_of(body), model, now_s);
    }
    if (path == "/completions" && mentions(body, "\"logprobs\"")) {
        return std::make_unique<CompletionLogprobs>();
    }
    if (path == "/embeddings" && mentions(body, "\"dimensions\"")) {
        const json::value request = object_of(body);
        const double dimensions = number_of(&request, "dimensions");
        if (dimensions >= 1) {
            return std::make_unique<ShortEmbeddings>(static_cast<std::size_t>(dimensions));
        }
    }
    return nullptr;
}

}  // namespace drover::gateway::dialect
