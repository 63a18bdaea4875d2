#include "gateway/dialect/completion_logprobs.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

std::int64_t characters(std::string_view utf8) {
    return std::count_if(utf8.begin(), utf8.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // all but the bytes that go on
    });
}

json::object best_of(const json::value* candidates) {
    json::object best;
    if (candidates != nullptr && candidates->is_array()) {
        for (const json::value& one : candidates->get_array()) {
            best[text_of(&one, "token")] = number_of(&one, "logprob");
        }
    }
    return best;
}

json::object lists_of(const json::array& tokens, std::int64_t& offset) {
    json::array texts;
    json::array odds;
    json::array best;
    json::array offsets;
    for (const json::value& token : tokens) {
        const std::string_view text = text_of(&token, "token");
        texts.emplace_back(text);
        odds.emplace_back(number_of(&token, "logprob"));
        best.emplace_back(best_of(member_of(&token, "top_logprobs")));
        offsets.emplace_back(offset);
        offset += characters(text);
    }
    return {{"tokens", std::move(texts)},
            {"token_logprobs", std::move(odds)},
            {"top_logprobs", std::move(best)},
            {"text_offset", std::move(offsets)}};
}

}  // namespace

bool CompletionLogprobs::edit(json::object& answer) {
    json::value* choices = answer.if_contains("choices");
    if (choices == nullptr || !choices->is_array()) {
        return false;
    }
    bool changed = false;
    for (json::value& choice : choices->get_array()) {
        const json::value* content = member_of(member_of(&choice, "logprobs"), "content");
        if (content == nullptr || !content->is_array()) {
            continue;
        }
        const auto index = static_cast<std::int64_t>(number_of(&choice, "index"));
        json::object lists = lists_of(content->get_array(), offsets_[index]);
        choice.get_object()["logprobs"] = std::move(lists);
        changed = true;
    }
    return changed;
}

}  // namespace drover::gateway::dialect
