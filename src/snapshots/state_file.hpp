// The files in which llama-server v0.5.0 saves a slot, as far as Drover must understand them: whose
// conversation it is, and what keeps the engine from using it. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::snapshots {

/// The start of a state file: what was said, in the engine's tokens.
struct StateHead {
    std::vector<std::int32_t> tokens{};
    bool media = false;    ///< images or sound stand between them
    std::size_t size = 0;  ///< bytes of the head; the cache follows
};

/// `invalid_argument` when this is no state file. Takes the head alone or the whole file.
Result<StateHead> read_head(std::string_view file);

/// How many bytes read_head() needs at least, from the first kHeadStart bytes of a file.
inline constexpr std::size_t kHeadStart = 12;
Result<std::size_t> head_size(std::string_view start);

/// Bytes that replace others.
struct Edit {
    std::size_t at = 0;        ///< offset in the file
    std::size_t replaces = 0;  ///< bytes that go
    std::string with;
};

/// What makes the engine accept a conversation of a model with a sliding window again. The engine
/// saves exactly the positions that the next token can see, but before it goes on it asks for one
/// that is two older, which nobody can see any more. The edits add that position, empty, to the
/// layers with a window: what is computed stays exact, and the engine still refuses to go back
/// further than the window allows. Edits are in rising order. Fails with `invalid_argument` when
/// the file has another form, and with `not_found` when the conversation is shorter than the
/// window: then the engine computes it again in any case.
Result<std::vector<Edit>> admit_window(std::string_view file);

}  // namespace drover::snapshots
