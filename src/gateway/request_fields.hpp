// What Drover must know of a JSON request; the rest passes through unread. Pure; one thread at a
// time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "memory/events.hpp"

namespace drover::gateway {

/// The top-level members that matter, wherever they stand in the body. Of a repeated member the
/// last counts, as it does for the engine.
struct RequestFields {
    std::string model;  ///< empty: not named
    bool stream = false;
    std::optional<memory::KeepAlive> keep_alive{};

    void clear() {
        model.clear();
        stream = false;
        keep_alive.reset();
    }
};

/// Reads a body in the pieces in which it arrives, so that a large one never holds up the loop. It
/// checks the whole body as JSON: `invalid_argument` says where it stops making sense.
class RequestFieldsReader {
  public:
    RequestFieldsReader();
    ~RequestFieldsReader();
    RequestFieldsReader(const RequestFieldsReader&) = delete;
    RequestFieldsReader& operator=(const RequestFieldsReader&) = delete;

    /// Forgets everything: the next piece begins a body.
    void start();

    /// After an error further pieces are ignored.
    void put(std::string_view piece);

    /// The fields, once the body is complete. The reference holds until start().
    Result<const RequestFields*> finish();

  private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace drover::gateway
