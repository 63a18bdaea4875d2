// What a pull tells while it runs. Plain values; any thread.
#pragma once

#include <functional>
#include <string>

#include "base/units.hpp"

namespace drover::store {

/// One line of Ollama's progress stream.
struct Progress {
    std::string status;    ///< "pulling manifest", "pulling 6a0746a1ec1a", "success"
    std::string digest{};  ///< of the blob that is meant; empty: of none
    Bytes total{};
    Bytes completed{};
};

using OnProgress = std::function<void(const Progress&)>;
using Stopped = std::function<bool()>;

}  // namespace drover::store
