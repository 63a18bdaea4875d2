#include "gateway/dialect/vllm_request.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/json/value.hpp>

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// Takes the member `name` out of `body`; null: there is none.
json::value take(json::object& body, std::string_view name) {
    json::value* const found = body.if_contains(name);
    if (found == nullptr) {
        return nullptr;
    }
    json::value taken = std::move(*found);
    body.erase(name);
    return taken;
}

json::object response_format(json::value schema) {
    if (schema.is_object() && schema.get_object().empty()) {
        return {{"type", "json_object"}};
    }
    return {{"type", "json_schema"},
            {"json_schema", json::object{{"name", "schema"}, {"schema", std::move(schema)}}}};
}

}  // namespace

json::object vllm_body(json::object body, std::uint64_t context) {
    // Ways of sampling that vLLM has not, and what concerns llama-server's cache.
    for (const std::string_view name : {"cache_prompt",
                                        "mirostat",
                                        "mirostat_eta",
                                        "mirostat_tau",
                                        "n_keep",
                                        "repeat_last_n",
                                        "typical_p"}) {
        body.erase(name);
    }
    const json::value limit = take(body, "n_predict");
    if (limit.is_int64() && limit.get_int64() >= 0) {
        body["max_tokens"] = std::max<std::int64_t>(limit.get_int64(), 1);  // it refuses none
    } else if (body.contains("prompt") && context > 0) {
        body["max_tokens"] = context;
    }
    if (json::value penalty = take(body, "repeat_penalty"); !penalty.is_null()) {
        body["repetition_penalty"] = std::move(penalty);
    }
    if (json::value schema = take(body, "json_schema"); !schema.is_null()) {
        body["response_format"] = response_format(std::move(schema));
    }
    if (const json::value* seed = body.if_contains("seed");
        seed != nullptr && seed->is_int64() && seed->get_int64() < 0) {
        body.erase("seed");  // "any"; here it would be that number
    }
    return body;
}

json::object vllm_embedding_body(json::object body, bool truncate) {
    if (truncate) {
        body["truncate_prompt_tokens"] = -1;  // to the model's context
    }
    return body;
}

}  // namespace drover::gateway::dialect
