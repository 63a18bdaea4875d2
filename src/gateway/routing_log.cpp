#include "gateway/routing_log.hpp"

#include <array>
#include <cstdio>
#include <random>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/error_reply.hpp"
#include "gateway/route_explanation.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::gateway {

namespace json = boost::json;
namespace log = platform::log;

namespace {

/// Requests that feedback can be given on.
constexpr std::size_t kRequestsMax = 4096;
/// Who changes their mind may say so, but nobody fills the file with one request.
constexpr std::uint32_t kJudgedMax = 4;
constexpr std::size_t kLabelMax = 64;

Error wrong(std::string what) {
    return Error{ErrorCode::invalid_argument, std::move(what)};
}

std::uint64_t true_random() {
    std::random_device device;
    return std::uint64_t{device()} << 32U | device();
}

json::array checks_of(const std::vector<CheckedAnswer>& checks) {
    json::array list;
    for (const CheckedAnswer& check : checks) {
        list.emplace_back(json::object{{"model", valid_utf8(check.model)},
                                       {"good", check.opinion.verdict == router::Verdict::good},
                                       {"score", check.opinion.score},
                                       {"confidence", check.opinion.confidence},
                                       {"tokens", check.tokens},
                                       {"ms", check.took.count()}});
    }
    return list;
}

json::object line_of(const RoutedRequest& request, bool with_prompt) {
    json::object line{{"type", "request"},
                      {"id", request.id},
                      {"time_ms", platform::wall_clock_ms()},
                      {"route", valid_utf8(request.route)},
                      {"endpoint", request.facts.endpoint},
                      {"model", valid_utf8(request.model)},
                      {"stage", router::to_string(request.decision.stage)},
                      {"reason", valid_utf8(request.reason)},
                      {"outcome",
                       request.status == 0     ? "left"
                       : request.status >= 400 ? "failed"
                                               : "served"},
                      {"status", request.status},
                      {"ms", request.took.count()},
                      {"text_bytes", request.facts.bytes}};
    const router::Policy& policy = request.policy;
    const router::Decision& decision = request.decision;
    if (decision.task.has_value()) {
        json::object task{{"label", policy.task->labels()[decision.task->label]},
                          {"confidence", decision.task->confidence}};
        if (decision.asked.task.has_value()) {
            task["classifier"] = classification_of(*policy.task->classifier, *decision.asked.task);
        }
        line["task"] = std::move(task);
    }
    if (decision.complexity.has_value()) {
        json::object complexity{{"score", decision.complexity->score},
                                {"confidence", decision.complexity->confidence}};
        if (decision.asked.complexity.has_value()) {
            complexity["classifier"] =
                classification_of(*policy.complexity->classifier, *decision.asked.complexity);
        }
        line["complexity"] = std::move(complexity);
    }
    if (!request.checks.empty()) {
        line["checks"] = checks_of(request.checks);
    }
    if (with_prompt) {
        line["prompt"] = valid_utf8(request.facts.text);
    }
    return line;
}

}  // namespace

RoutingLog::RoutingLog(config::RoutingConfig config)
    : config_(std::move(config)), requests_(kRequestsMax), random_(true_random()) {}

Status RoutingLog::open() {
    if (config_.log == config::RoutingLogLevel::off) {
        return {};
    }
    auto file = platform::AppendLog::open(config_.file, config_.size);
    if (!file.ok()) {
        return file.error().with("routing.file");
    }
    file_.emplace(std::move(*file));
    return {};
}

std::string RoutingLog::next_id() {
    std::array<char, 20> id{};
    std::snprintf(id.data(),
                  id.size(),
                  "r-%016llx",
                  static_cast<unsigned long long>(random_.below(UINT64_MAX)));
    return id.data();
}

void RoutingLog::add(const RoutedRequest& request) {
    if (!on()) {
        return;
    }
    requests_.put(router::fnv64(request.id), 0);
    write(line_of(request, config_.log == config::RoutingLogLevel::prompts));
}

Result<Judged> RoutingLog::take_feedback(const json::object& feedback) {
    if (!on()) {
        return wrong("nothing is kept: routing.log is off; set it to `outcomes` or `prompts`");
    }
    const json::value* id = feedback.if_contains("id");
    if (id == nullptr || !id->is_string()) {
        return wrong("\"id\" must be what the answer's header x-drover-id said");
    }
    json::object line{{"type", "feedback"}, {"id", *id}, {"time_ms", platform::wall_clock_ms()}};
    const json::value* correct = feedback.if_contains("correct");
    const json::value* score = feedback.if_contains("score");
    const json::value* label = feedback.if_contains("label");
    if (correct == nullptr && score == nullptr && label == nullptr) {
        return wrong("say \"correct\": true or false, or a \"score\" from 0 to 1, or a \"label\"");
    }
    if (correct != nullptr) {
        if (!correct->is_bool()) {
            return wrong("\"correct\" must be true or false");
        }
        line["correct"] = *correct;
    } else if (score != nullptr) {
        json::error_code failure;
        const double value = score->to_number<double>(failure);
        if (failure || !(value >= 0 && value <= 1)) {
            return wrong("\"score\" must be a number from 0 to 1");
        }
        line["correct"] = value;
    }
    if (label != nullptr) {
        if (!label->is_string() || label->get_string().empty() ||
            label->get_string().size() > kLabelMax) {
            return wrong("\"label\" must be a text of at most 64 bytes");
        }
        line["label"] = *label;
    }
    const std::uint64_t key = router::fnv64(std::string_view(id->get_string()));
    const auto judged = requests_.find(key);
    if (!judged.has_value() || *judged == kJudgedMax) {
        return judged.has_value() ? Judged::enough : Judged::unknown_answer;
    }
    requests_.put(key, *judged + 1);
    write(line);
    return Judged::taken;
}

void RoutingLog::write(const json::object& line) {
    if (const Status status = file_->append(json::serialize(line)); !status.ok()) {
        log::warn("routing.log_failed", {{"cause", status.error().message}});
    }
}

}  // namespace drover::gateway
