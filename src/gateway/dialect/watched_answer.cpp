#include "gateway/dialect/watched_answer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/dialect/engine_answer.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/error_reply.hpp"
#include "gateway/json_body.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;
using router::Verdict;

namespace {

/// Of a stream so much is held back at most, however few tokens that is.
constexpr std::size_t kHeldMax = std::size_t{256} << 10;
/// A whole answer with its log-probabilities; what is larger is not judged good.
constexpr std::size_t kWholeAnswerMax = std::size_t{64} << 20;

/// The log-probabilities of so many candidates are asked for: the chosen one and the next best.
constexpr int kCandidatesAsked = 2;

constexpr std::string_view kDone = "[DONE]";

bool is_chat(std::string_view path) {
    return path.find("chat") != std::string_view::npos;
}

void append_event(std::string& out, std::string_view data) {
    out.append("data: ").append(data).append("\n\n");
}

bool is_object(std::string_view text) {
    json::error_code failure;
    json::parse_options options;
    options.max_depth = kJsonDepthMax;
    const json::value value = json::parse(text, failure, {}, options);
    return !failure && value.is_object();
}

router::TokenOdds odds_of(const json::value& token) {
    const auto number = [](const json::value& one) {
        return static_cast<float>(number_of(&one, "logprob"));
    };
    router::TokenOdds odds{.chosen = number(token)};
    const std::string_view text = text_of(&token, "token");
    const json::value* top = member_of(&token, "top_logprobs");
    if (top != nullptr && top->is_array()) {
        for (const json::value& other : top->get_array()) {
            if (text_of(&other, "token") != text) {
                odds.runner_up = std::max(odds.runner_up, number(other));
            }
        }
    }
    return odds;
}

void erase_logprobs(json::value& choice) {
    json::object* object = choice.if_object();
    if (object == nullptr || !object->contains("logprobs")) {
        return;
    }
    if (object->contains("text")) {
        (*object)["logprobs"] = nullptr;  // as the engine has it where nobody asked
    } else {
        object->erase("logprobs");
    }
}

}  // namespace

void WatchedAnswer::start(bool stream) {
    stream_ = stream;
    events_ = SseSplitter();
    held_.clear();
    confidence_ = {};
    progress_ = {.hurried = progress_.hurried};
    opinion_ = {};
    tokens_ = 0;
    tool_calls_.clear();
    json_.reset();
    if (terms_.json) {
        json::parse_options options;
        options.max_depth = kJsonDepthMax;
        json_ = std::make_unique<json::stream_parser>(json::storage_ptr(), options);
    }
}

void WatchedAnswer::put(std::string_view piece, std::string& out) {
    if (withheld()) {
        return;
    }
    if (stream_) {
        events_.put(piece, [&](std::string_view data) { take_event(data, out); });
        return;
    }
    if (held_.size() + piece.size() > kWholeAnswerMax) {
        opinion_ = {.verdict = Verdict::weak, .reason = "answer is too large"};
        held_.clear();
        return;
    }
    held_ += piece;
}

void WatchedAnswer::end(std::string& out) {
    if (opinion_.verdict != Verdict::undecided) {
        return;
    }
    progress_.ended = true;
    if (!stream_) {
        json::error_code failure;
        json::value answer = json::parse(held_, failure);
        if (failure || !answer.is_object()) {
            opinion_ = {.verdict = Verdict::weak, .reason = "answer is not valid JSON"};
            return;
        }
        take(answer);
        if (terms_.strip) {
            held_ = json::serialize(answer);
        }
    }
    decide(out);
}

void WatchedAnswer::take_event(std::string_view data, std::string& out) {
    if (withheld()) {
        return;
    }
    const bool decided = opinion_.verdict == Verdict::good;
    std::string& passed = decided ? out : held_;
    if (data == kDone || (decided && !terms_.strip)) {
        append_event(passed, data);
        return;
    }
    json::error_code failure;
    json::value event = json::parse(data, failure);
    if (failure || member_of(&event, "error") != nullptr) {
        if (decided) {
            append_event(out, data);
        } else {
            opinion_ = {.verdict = Verdict::weak, .reason = "answer failed in its stream"};
        }
        return;
    }
    take(event);
    append_event(passed, terms_.strip ? std::string_view(json::serialize(event)) : data);
    if (!decided) {
        progress_.hurried = progress_.hurried || held_.size() > kHeldMax;
        decide(out);
    }
}

void WatchedAnswer::take(json::value& answer) {
    json::object* object = answer.if_object();
    json::value* choices = object == nullptr ? nullptr : object->if_contains("choices");
    if (choices == nullptr || !choices->is_array()) {
        return;
    }
    for (json::value& choice : choices->get_array()) {
        if (opinion_.verdict == Verdict::undecided) {
            take_choice(choice);
        }
        if (terms_.strip) {
            erase_logprobs(choice);
        }
    }
}

void WatchedAnswer::take_choice(json::value& choice) {
    const json::value* message = member_of(&choice, stream_ ? "delta" : "message");
    take_text(message != nullptr ? text_of(message, "content") : text_of(&choice, "text"));
    take_tool_calls(member_of(message, "tool_calls"));
    for (const json::value& token : token_logprobs(choice)) {
        confidence_.add(odds_of(token));
    }
    progress_.ended = progress_.ended || !text_of(&choice, "finish_reason").empty();
}

void WatchedAnswer::take_text(std::string_view text) {
    progress_.empty = progress_.empty && text.empty();
    if (json_ == nullptr || text.empty() || progress_.broken) {
        return;
    }
    json::error_code failure;
    json_->write(text.data(), text.size(), failure);
    progress_.broken = progress_.broken || failure;
}

void WatchedAnswer::take_tool_calls(const json::value* calls) {
    if (calls == nullptr || !calls->is_array()) {
        return;
    }
    std::int64_t place = 0;
    for (const json::value& one : calls->get_array()) {
        const json::value* index = member_of(&one, "index");
        const json::value* function = member_of(&one, "function");
        const bool numbered = index != nullptr && index->is_int64();
        ToolCall& call = tool_calls_[numbered ? index->get_int64() : place];
        call.name += text_of(function, "name");
        call.arguments += text_of(function, "arguments");
        progress_.in_tool = true;
        progress_.empty = false;
        ++place;
    }
}

bool WatchedAnswer::is_broken() const {
    if (progress_.broken) {
        return true;
    }
    if (!progress_.ended) {
        return false;
    }
    const bool no_json = json_ != nullptr && tool_calls_.empty() && !json_->done();
    return no_json || std::any_of(tool_calls_.begin(), tool_calls_.end(), [&](const auto& entry) {
               const ToolCall& call = entry.second;
               const bool offered =
                   terms_.tools.empty() ||
                   std::find(terms_.tools.begin(), terms_.tools.end(), call.name) !=
                       terms_.tools.end();
               return !offered || (!call.arguments.empty() && !is_object(call.arguments));
           });
}

void WatchedAnswer::decide(std::string& out) {
    progress_.broken = is_broken();
    opinion_ = router::judge(terms_.demands, confidence_, progress_);
    tokens_ = confidence_.tokens();
    if (opinion_.verdict == Verdict::good) {
        out += held_;
    }
    if (opinion_.verdict != Verdict::undecided) {
        held_.clear();
    }
}

std::string WatchedAnswer::header(TimePoint now) const {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - terms_.asked);
    std::string header = "x-drover-reason: ";
    append_header_value(header, terms_.reason);
    return header + " " + opinion_.reason + " (" + std::to_string(tokens_) + " tokens, " +
           std::to_string(took.count()) + " ms)\r\n";
}

bool tells_logprobs(std::string_view path) {
    return path == "/v1/chat/completions" || path == "/chat/completions" ||
           path == "/v1/completions" || path == "/completions" || path == "/api/chat" ||
           path == "/api/generate";
}

LogprobsMember logprobs_member(bool llama_server, bool stream, bool tools) {
    return llama_server && stream && tools ? LogprobsMember::n_probs : LogprobsMember::logprobs;
}

void ask_for_logprobs(json::object& body, std::string_view path, bool llama_server) {
    const bool chat = is_chat(path);
    const json::value* asked = body.if_contains("logprobs");
    if (asked != nullptr && (*asked == true || asked->is_int64())) {
        return;
    }
    const json::value* stream = body.if_contains("stream");
    const bool streams = stream != nullptr && *stream == true;
    if (logprobs_member(llama_server, streams, body.contains("tools")) == LogprobsMember::n_probs) {
        body["n_probs"] = kCandidatesAsked;
        return;
    }
    if (chat) {
        body["logprobs"] = true;
    }
    body[chat ? "top_logprobs" : "logprobs"] = kCandidatesAsked;
}

std::string with_logprobs(std::string_view body, std::string_view path, LogprobsMember member) {
    const std::size_t end = body.rfind('}');
    std::string asking(body.substr(0, end));
    if (member == LogprobsMember::n_probs) {
        asking += R"(,"n_probs":)";
    } else {
        asking += is_chat(path) ? R"(,"logprobs":true,"top_logprobs":)" : R"(,"logprobs":)";
    }
    asking += std::to_string(kCandidatesAsked);
    return asking += body.substr(std::min(end, body.size()));
}

}  // namespace drover::gateway::dialect
