// An engine's answer in the words of another API. Pure; one thread at a time.
#pragma once

#include <string>
#include <string_view>

namespace drover::gateway::dialect {

/// Translates the body of one successful answer: either whole() or put() and finish() are called.
class AnswerTranslator {
  public:
    virtual ~AnswerTranslator() = default;

    /// The whole of an answer that is no stream.
    virtual std::string whole(std::string_view body) = 0;

    /// Appends what a piece of a stream of events becomes: whole events only.
    virtual void put(std::string_view piece, std::string& out) = 0;

    /// The stream is over: appends what is still to be said, an error if it ended too early.
    virtual void finish(std::string& out) = 0;
};

}  // namespace drover::gateway::dialect
