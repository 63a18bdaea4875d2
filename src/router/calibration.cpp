#include "router/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/rng.hpp"
#include "router/dataset.hpp"
#include "router/metrics.hpp"

namespace drover::router {

namespace json = boost::json;

namespace {

constexpr std::size_t kFolds = 5;
constexpr std::int64_t kCalibrationVersion = 1;
/// Few knots: a step of few answers is noise.
constexpr std::size_t kCalibrationKnots = 16;
constexpr std::size_t kAnswersMax = 5'000'000;

Error wrong(std::string what) {
    return Error{ErrorCode::invalid_argument, std::move(what)};
}

std::optional<double> number_of(const json::value* value) {
    json::error_code failure;
    const double number = value == nullptr ? 0 : value->to_number<double>(failure);
    return value == nullptr || failure || !std::isfinite(number) ? std::nullopt
                                                                 : std::optional(number);
}

/// What is said of each answer by what was fitted to the other folds.
double unseen_error(std::vector<Observation> answers, std::uint64_t seed) {
    Rng rng(seed);
    for (std::size_t i = answers.size(); i > 1; --i) {
        std::swap(answers[i - 1], answers[rng.below(i)]);
    }
    std::vector<Observation> judged;
    for (std::size_t fold = 0; fold < kFolds; ++fold) {
        std::vector<Observation> others;
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (i % kFolds != fold) {
                others.push_back(answers[i]);
            }
        }
        const std::vector<Knot> knots = fit_isotonic(std::move(others), kCalibrationKnots);
        for (std::size_t i = fold; i < answers.size(); i += kFolds) {
            judged.push_back({calibrated(knots, answers[i].score), answers[i].positive});
        }
    }
    return calibration_error(std::move(judged));
}

Result<Observation> scored_answer(std::string_view line) {
    json::error_code failure;
    const json::value value = json::parse(line, failure);
    if (failure || !value.is_object()) {
        return wrong("is not a JSON object");
    }
    const json::object& object = value.get_object();
    const json::value* given = object.if_contains("score");
    const auto score = number_of(given != nullptr ? given : object.if_contains("confidence"));
    const json::value* correct = object.if_contains("correct");
    const auto share = number_of(correct);
    if (!score.has_value() || *score < 0 || *score > 1) {
        return wrong("has no \"score\" between 0 and 1");
    }
    if (correct == nullptr || (!correct->is_bool() && !share.has_value())) {
        return wrong("does not say whether the answer was \"correct\": true or false");
    }
    return Observation{static_cast<float>(*score),
                       correct->is_bool() ? correct->get_bool() : *share >= kRight};
}

}  // namespace

Calibration fit_calibration(std::vector<Observation> answers, std::uint64_t seed) {
    Calibration calibration{.examples = static_cast<std::uint32_t>(answers.size()),
                            .error = unseen_error(answers, seed)};
    calibration.knots = fit_isotonic(std::move(answers), kCalibrationKnots);
    return calibration;
}

std::string to_text(const Calibration& calibration) {
    json::array knots;
    for (const Knot& knot : calibration.knots) {
        knots.emplace_back(json::array{knot.score, knot.probability});
    }
    return json::serialize(json::object{{"drover", "cascade"},
                                        {"version", kCalibrationVersion},
                                        {"examples", calibration.examples},
                                        {"error", calibration.error},
                                        {"knots", std::move(knots)}}) +
           "\n";
}

Result<Calibration> parse_calibration(std::string_view text) {
    json::error_code failure;
    const json::value value = json::parse(text, failure);
    const json::object* object = failure ? nullptr : value.if_object();
    const json::value* kind = object == nullptr ? nullptr : object->if_contains("drover");
    if (kind == nullptr || !kind->is_string() || kind->get_string() != "cascade") {
        return wrong("is no calibration of a cascade; `drover route calibrate` makes one");
    }
    if (number_of(object->if_contains("version")) != static_cast<double>(kCalibrationVersion)) {
        return wrong("is of another version than " + std::to_string(kCalibrationVersion) +
                     "; make it again with `drover route calibrate`");
    }
    Calibration calibration;
    calibration.examples = static_cast<std::uint32_t>(
        std::clamp(number_of(object->if_contains("examples")).value_or(0), 0.0, 4e9));
    calibration.error = number_of(object->if_contains("error")).value_or(0);
    const json::value* knots = object->if_contains("knots");
    if (knots == nullptr || !knots->is_array() || knots->get_array().empty() ||
        knots->get_array().size() > kCalibrationKnots) {
        return wrong("has no list of 1 to " + std::to_string(kCalibrationKnots) + " \"knots\"");
    }
    for (const json::value& one : knots->get_array()) {
        const json::array* pair = one.if_array();
        const bool two = pair != nullptr && pair->size() == 2;
        const auto score = number_of(two ? &pair->at(0) : nullptr);
        const auto probability = number_of(two ? &pair->at(1) : nullptr);
        const Knot knot{static_cast<float>(score.value_or(-1)),
                        static_cast<float>(probability.value_or(-1))};
        const Knot before = calibration.knots.empty() ? Knot{-1, 0} : calibration.knots.back();
        if (!score.has_value() || !probability.has_value() || !(knot.score > before.score) ||
            !(knot.probability >= before.probability) || knot.probability > 1) {
            return wrong("has knots that do not ascend from 0 to 1");
        }
        calibration.knots.push_back(knot);
    }
    return calibration;
}

Result<std::vector<Observation>> parse_scored_answers(std::string_view jsonl) {
    std::vector<Observation> answers;
    for (std::size_t number = 1; !jsonl.empty(); ++number) {
        const std::string_view line = jsonl.substr(0, jsonl.find('\n'));
        jsonl.remove_prefix(std::min(line.size() + 1, jsonl.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        const auto answer = scored_answer(line);
        if (!answer.ok()) {
            return wrong("line " + std::to_string(number) + " " + answer.error().message);
        }
        if (answers.size() == kAnswersMax) {
            return wrong("line " + std::to_string(number) +
                         " is one too many; at most 5 million are read");
        }
        answers.push_back(*answer);
    }
    return answers.empty() ? Result<std::vector<Observation>>(wrong("there are no answers in it"))
                           : Result<std::vector<Observation>>(std::move(answers));
}

}  // namespace drover::router
