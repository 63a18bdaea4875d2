#include "cli/route_report.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <iterator>
#include <vector>

#include "cli/table.hpp"
#include "router/calibration.hpp"
#include "router/trainer.hpp"

namespace drover::cli {

using router::Interval;
using router::Purpose;

namespace {

constexpr std::size_t kRounds = 1000;
constexpr std::uint64_t kSeed = 1;

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

std::string format(const char* pattern, ...) {
    std::array<char, 256> text{};
    va_list arguments;
    va_start(arguments, pattern);
    std::vsnprintf(text.data(), text.size(), pattern, arguments);
    va_end(arguments);
    return text.data();
}

std::string percent(double part) {
    return format("%.1f %%", 100 * part);
}

double share_right(std::span<const router::Observation> answers) {
    const auto right =
        std::count_if(answers.begin(), answers.end(), [](const auto& one) { return one.positive; });
    return static_cast<double>(right) / static_cast<double>(answers.size());
}

std::string calibration_line(const Judged& judged) {
    // Judged on the half that it was not fitted to: an isotonic fit is perfect on its own data.
    std::vector<router::Observation> fitted;
    std::vector<router::Observation> rest;
    for (std::size_t i = 0; i < judged.predictions.size(); ++i) {
        (i % 2 == 0 ? fitted : rest)
            .push_back(router::observation(
                judged.data.purpose, judged.data.examples[i], judged.predictions[i]));
    }
    if (rest.empty()) {
        return {};
    }
    const std::vector<router::Knot> knots = router::fit_isotonic(std::move(fitted), 32);
    const double area = router::auc(rest);
    for (router::Observation& one : rest) {
        one.score = router::calibrated(knots, one.score);
    }
    return format(
        "%s: AUC %.3f; calibration error %.3f (fitted on one half, judged on the other)\n",
        judged.data.purpose == Purpose::task ? "that the label is right"
                                             : "that only the strong model is right",
        area,
        router::calibration_error(std::move(rest)));
}

std::string task_report(const Judged& judged) {
    const router::Dataset& data = judged.data;
    router::Confusion confusion(data.labels.size());
    for (std::size_t i = 0; i < judged.predictions.size(); ++i) {
        confusion.add(data.examples[i].label, judged.predictions[i].label);
    }
    const Interval interval =
        router::bootstrap(judged.predictions.size(), kRounds, kSeed, [&](const auto& sample) {
            double right = 0;
            for (const std::uint32_t i : sample) {
                right += data.examples[i].label == judged.predictions[i].label ? 1 : 0;
            }
            return right / static_cast<double>(sample.size());
        });
    std::string text = format("accuracy %s (95 %%: %s to %s), %zu prompts\n\n",
                              percent(confusion.accuracy()).c_str(),
                              percent(interval.low).c_str(),
                              percent(interval.high).c_str(),
                              judged.predictions.size());
    std::vector<std::string> heading{"LABEL", "RECALL", "PRECISION"};
    for (const std::string& label : data.labels) {
        heading.push_back("AS " + label);
    }
    std::vector<std::vector<std::string>> rows;
    for (std::size_t truth = 0; truth < data.labels.size(); ++truth) {
        std::vector<std::string> row{data.labels[truth],
                                     percent(confusion.recall(truth)),
                                     percent(confusion.precision(truth))};
        for (std::size_t guess = 0; guess < data.labels.size(); ++guess) {
            row.push_back(std::to_string(confusion.count(truth, guess)));
        }
        rows.push_back(std::move(row));
    }
    return text + format_table(heading, rows) + "\n" + calibration_line(judged);
}

std::string complexity_report(const Judged& judged) {
    const std::vector<router::Outcome> outcomes = router::outcomes(judged.data, judged.predictions);
    const std::vector<router::FrontierPoint> points = router::frontier(outcomes);
    const Interval interval =
        router::bootstrap(outcomes.size(), kRounds, kSeed, [&](const auto& sample) {
            std::vector<router::Outcome> drawn;
            drawn.reserve(sample.size());
            for (const std::uint32_t i : sample) {
                drawn.push_back(outcomes[i]);
            }
            return router::apgr(router::frontier(drawn));
        });
    const double weak = points.front().quality;
    const double strong = points.back().quality;
    std::string text = format("APGR %.3f (95 %%: %.3f to %.3f); CPT(50) %s; CPT(80) %s\n",
                              router::apgr(points),
                              interval.low,
                              interval.high,
                              percent(router::cpt(points, 0.5)).c_str(),
                              percent(router::cpt(points, 0.8)).c_str());
    text += format("right: weak model alone %s, strong model alone %s, %zu prompts\n",
                   percent(weak).c_str(),
                   percent(strong).c_str(),
                   outcomes.size());
    text += calibration_line(judged) + "\n";
    std::vector<std::vector<std::string>> rows;
    for (int tenth = 0; tenth <= 10; ++tenth) {
        const double share = tenth / 10.0;
        const double quality = router::quality_at(points, share);
        const auto point = std::find_if(points.begin(), points.end(), [share](const auto& one) {
            return one.share >= share - 1e-6;
        });
        rows.push_back({percent(share),
                        percent(quality),
                        percent(strong > 0 ? quality / strong : 0),
                        format("%.4f", point == points.end() ? 0.0 : point->threshold)});
    }
    return text + format_table({"TO STRONG", "RIGHT", "OF STRONG ALONE", "THRESHOLD"}, rows);
}

}  // namespace

std::string route_report(const Judged& judged) {
    return judged.data.purpose == Purpose::task ? task_report(judged) : complexity_report(judged);
}

std::string cascade_report(std::span<const router::Observation> answers, std::uint64_t seed) {
    std::vector<router::Observation> known(answers.begin(), answers.end());
    const router::Calibration calibration = router::fit_calibration(known, seed);
    std::string report =
        format("%zu answers, %s right; AUC %.3f; calibration error %.3f (five folds)\n",
               known.size(),
               percent(share_right(known)).c_str(),
               router::auc(known),
               calibration.error);
    std::vector<std::vector<std::string>> rows;
    for (const double needed : {0.5, 0.6, 0.7, 0.8, 0.9, 0.95}) {
        std::vector<router::Observation> kept;
        std::copy_if(known.begin(), known.end(), std::back_inserter(kept), [&](const auto& one) {
            return calibration.probability(one.score) >= static_cast<float>(needed);
        });
        rows.push_back(
            {format("%.2f", needed),
             percent(static_cast<double>(kept.size()) / static_cast<double>(known.size())),
             kept.empty() ? "" : percent(share_right(kept))});
    }
    return report + format_table({"CONFIDENCE", "KEPT", "RIGHT"}, rows);
}

std::string frontier_svg(std::span<const router::FrontierPoint> points) {
    constexpr double kWidth = 640;
    constexpr double kHeight = 400;
    constexpr double kMargin = 60;
    double low = 1;
    double high = 0;
    for (const router::FrontierPoint& point : points) {
        low = std::min<double>(low, point.quality);
        high = std::max<double>(high, point.quality);
    }
    const double range = std::max(high - low, 1e-6);
    const auto x = [](double share) {
        return kMargin + share * (kWidth - 2 * kMargin);
    };
    const auto y = [&](double quality) {
        return kHeight - kMargin - (quality - low) / range * (kHeight - 2 * kMargin);
    };
    std::string svg = format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
        "font-family=\"sans-serif\" font-size=\"13\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        kWidth,
        kHeight);
    svg += format(
        "<text x=\"%.0f\" y=\"24\">APGR %.3f: right answers over the share of prompts "
        "that go to the strong model</text>\n",
        kMargin,
        router::apgr(points));
    for (int i = 0; i <= 4; ++i) {
        const double share = i / 4.0;
        const double quality = low + share * range;
        svg += format(
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f %%</text>\n"
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.1f %%</text>\n",
            x(share),
            kHeight - kMargin + 22,
            100 * share,
            kMargin - 8,
            y(quality) + 4,
            100 * quality);
        svg += format("<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", x(0), y(quality), x(1));
    }
    svg += format("<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#999\" stroke-dasharray=\"5 4\"/>\n",
                  x(0),
                  y(points.front().quality),
                  x(1),
                  y(points.back().quality));
    svg += "<path fill=\"none\" stroke=\"#0a62a5\" stroke-width=\"2\" d=\"";
    char command = 'M';
    for (const router::FrontierPoint& point : points) {
        svg += format("%c%.1f %.1f", command, x(point.share), y(point.quality));
        command = 'L';
    }
    return svg + "\"/>\n</svg>\n";
}

}  // namespace drover::cli
