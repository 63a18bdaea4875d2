#include "snapshots/price.hpp"

#include <chrono>

namespace drover::snapshots {

namespace {

/// Smaller states are a matter of milliseconds, most of which are not spent on their bytes.
constexpr Bytes kSmall = 32_MiB;

/// Weight of what was seen last.
constexpr double kLatest = 0.5;

/// How much of what was seen is forgotten whenever it kept a conversation from being saved.
constexpr double kFade = 1.0 / 16;

double seconds_of(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double towards(double value, double goal, double part) {
    return value + (goal - value) * part;
}

void learn(double& rate, Bytes state, Duration took) {
    if (state >= kSmall) {
        rate = towards(rate, seconds_of(took) / static_cast<double>(state.count()), kLatest);
    }
}

}  // namespace

void Price::note_saved(Bytes state, Duration took) {
    learn(saving_, state, took);
}

void Price::note_restored(Bytes state, Duration took) {
    learn(restoring_, state, took);
}

bool Price::pays(Bytes state, Duration computing) {
    const double price = (saving_ + restoring_) * static_cast<double>(state.count());
    if (state < kSmall || seconds_of(computing) > price) {
        return true;
    }
    saving_ = towards(saving_, kSavingGuess, kFade);
    restoring_ = towards(restoring_, kRestoringGuess, kFade);
    return false;
}

}  // namespace drover::snapshots
