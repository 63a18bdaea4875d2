// Whether a cascade keeps an answer or asks the next model. Pure; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "router/calibration.hpp"
#include "router/confidence.hpp"

namespace drover::router {

/// What an answer must be like.
struct Demands {
    const Calibration* calibration = nullptr;  ///< outlives who has it; null: scores as they are
    double confidence = 0.5;                   ///< that the answer is right
    std::uint32_t tokens = 48;                 ///< of a stream so many are held back at most
};

enum class Verdict {
    undecided,
    good,
    weak
};

/// How far an answer has come.
struct Progress {
    bool ended = false;
    bool empty = true;     ///< no text and no tool call so far
    bool broken = false;   ///< text that should be JSON is none, or a tool call that makes no sense
    bool in_tool = false;  ///< a tool call has begun: nobody can use a part of it
    bool hurried = false;  ///< there is no more time
};

/// The verdict and why.
struct Opinion {
    Verdict verdict = Verdict::undecided;
    float score = 0;       ///< see Confidence::score
    float confidence = 0;  ///< calibrated
    std::string reason{};  ///< in words, ASCII, one line; empty while undecided
};

/// Judges a whole answer, or a stream by its beginning: what has been released cannot be taken
/// back.
Opinion judge(const Demands& demands, const Confidence& confidence, const Progress& progress);

}  // namespace drover::router
