// What Drover itself asks an engine, beside its health: its slots, their state on disk, tokens.
// Each call has a connection of its own, so that none waits behind a client's. On the loop only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/endpoint.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// One place for a conversation in the engine.
struct Slot {
    std::uint32_t id = 0;
    std::uint32_t tokens = 0;             ///< in its cache; 0 also when it was only restored
    std::optional<std::uint64_t> task{};  ///< the last that it had; nullopt: none yet
    bool busy = false;

    bool used() const { return task.has_value(); }
};

/// Since the engine started.
struct PromptCounters {
    double computed = 0;  ///< tokens
    double cached = 0;    ///< tokens that needed no computing
    double seconds = 0;   ///< spent computing
};

/// Every call fails with `timeout` at its deadline, and with `engine_failed` when the engine breaks
/// off, refuses (with its message), or answers something else.
class EngineClient {
  public:
    EngineClient(platform::Loop& loop, Endpoint endpoint)
        : loop_(loop), endpoint_(std::move(endpoint)) {}

    platform::Task<Result<std::vector<Slot>>> slots(TimePoint deadline);

    /// Writes the slot's state to `file`, a name in the engine's slot folder.
    platform::Task<Status> save(std::uint32_t slot, std::string file, TimePoint deadline);

    /// Reads a state into the slot; what was there is lost. Gives the number of tokens.
    platform::Task<Result<std::uint32_t>> restore(std::uint32_t slot,
                                                  std::string file,
                                                  TimePoint deadline);

    platform::Task<Result<PromptCounters>> prompt_counters(TimePoint deadline);

    /// The tokens of the prompt that the engine would make of a request to `path` with this JSON
    /// `body`. `invalid_argument` for paths other than those of chats and completions, and with
    /// images or sound.
    platform::Task<Result<std::vector<std::int32_t>>> prompt_tokens(std::string path,
                                                                    std::string body,
                                                                    TimePoint deadline);

    /// What the model's chat template puts before every answer, in tokens.
    platform::Task<Result<std::vector<std::int32_t>>> answer_opening(TimePoint deadline);

    /// Leaves exactly `tokens` in the slot, computing what is not there.
    platform::Task<Status> reduce(std::uint32_t slot,
                                  std::vector<std::int32_t> tokens,
                                  TimePoint deadline);

  private:
    platform::Task<Result<std::vector<std::int32_t>>> tokenize(std::string request,
                                                               TimePoint deadline);
    platform::Task<Result<std::string>> call(std::string method,
                                             std::string target,
                                             std::string body,
                                             TimePoint deadline);

    platform::Loop& loop_;
    Endpoint endpoint_;
};

}  // namespace drover::engines
