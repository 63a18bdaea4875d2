#include "gateway/dialect/answer_shape.hpp"

#include <cstddef>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/completion_logprobs.hpp"
#include "gateway/dialect/edited_answer.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/dialect/responses_answer.hpp"
#include "gateway/dialect/short_embeddings.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// A request that is larger is not read a second time, which would hold up the loop.
constexpr std::size_t kRequestMax = std::size_t{16} << 20;

/// Anthropic's `stop_reason` of an answer that met one of the request's stop sequences: the engine
/// names the sequence, and calls it the end of a turn all the same.
class StopReason final : public EditedAnswer {
  protected:
    bool edit(json::object& answer) override {
        json::value* delta = answer.if_contains("delta");
        json::object* object = delta != nullptr ? delta->if_object() : &answer;
        const json::value* sequence =
            object == nullptr ? nullptr : object->if_contains("stop_sequence");
        const json::value* reason =
            object == nullptr ? nullptr : object->if_contains("stop_reason");
        if (sequence == nullptr || !sequence->is_string() || reason == nullptr ||
            *reason != "end_turn") {
            return false;
        }
        (*object)["stop_reason"] = "stop_sequence";
        return true;
    }
};

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
        return mentions(body, "\"stop_sequences\"") ? std::make_unique<StopReason>() : nullptr;
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
