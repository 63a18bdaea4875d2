#include "cli/progress_bar.hpp"

#include <algorithm>
#include <cstdint>

namespace drover::cli {

namespace {

/// The rate is taken over this much of the past.
constexpr auto kWindow = std::chrono::seconds(5);
constexpr auto kSampleEvery = std::chrono::milliseconds(200);
constexpr std::size_t kBarMax = 30;
constexpr std::size_t kBarMin = 8;

std::string bar(std::size_t width, int percent) {
    const std::size_t full = width * static_cast<std::size_t>(percent) / 100;
    return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

}  // namespace

std::string ProgressBar::line(
    const std::string& what, Bytes completed, Bytes total, TimePoint now, std::size_t width) {
    if (what != what_) {
        what_ = what;
        samples_.clear();
    }
    if (samples_.empty() || now - samples_.back().at >= kSampleEvery) {
        samples_.push_back({now, completed});
    }
    while (samples_.size() > 2 && now - samples_.front().at > kWindow) {
        samples_.pop_front();
    }
    if (total <= Bytes(0)) {
        return what.substr(0, width);
    }
    const int percent = static_cast<int>(static_cast<double>(std::min(completed, total).count()) *
                                         100.0 / static_cast<double>(total.count()));
    std::string numbers = " " + std::to_string(percent) + "%";
    numbers.insert(0, 5 - std::min<std::size_t>(numbers.size(), 5), ' ');
    std::string tail = " " + to_string(completed) + " of " + to_string(total);
    if (const auto speed = rate(); speed.has_value() && completed < total) {
        const double left = static_cast<double>((total - completed).count()) / *speed;
        tail += "  " + to_string(Bytes(static_cast<std::int64_t>(*speed))) + "/s  " +
                to_string(std::chrono::milliseconds(static_cast<std::int64_t>(std::min(left, 1e7)) *
                                                    1000)) +
                " left";
    }
    const std::size_t used = what.size() + numbers.size() + tail.size() + 3;
    std::string line = what;
    if (used + kBarMin <= width) {
        line += " " + bar(std::min(width - used, kBarMax), percent);
    }
    return (line + numbers + tail).substr(0, width);
}

std::optional<double> ProgressBar::rate() const {
    if (samples_.size() < 2) {
        return std::nullopt;
    }
    const std::chrono::duration<double> time = samples_.back().at - samples_.front().at;
    const Bytes moved = samples_.back().completed - samples_.front().completed;
    if (moved <= Bytes(0) || time.count() <= 0) {
        return std::nullopt;
    }
    return static_cast<double>(moved.count()) / time.count();
}

}  // namespace drover::cli
