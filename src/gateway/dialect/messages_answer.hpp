// Anthropic's messages, completed: llama-server leaves out some of what their clients read. Pure;
// one thread at a time.
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "gateway/dialect/edited_answer.hpp"

namespace drover::gateway::dialect {

/// 1. A stop sequence that was met is the reason of the stop: the engine names the sequence, and
///    calls it the end of a turn all the same.
/// 2. The last usage of a stream has the counts of the first one, too.
/// 3. Messages are called msg_...
class MessagesAnswer final : public EditedAnswer {
  protected:
    bool edit(boost::json::object& answer) override;
    bool edit_event(boost::json::object& event, std::string& out) override;

  private:
    boost::json::object usage_;  ///< as the stream began
};

}  // namespace drover::gateway::dialect
