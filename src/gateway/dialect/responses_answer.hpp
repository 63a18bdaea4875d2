// OpenAI's responses, completed: llama-server numbers no events and leaves out what did not change.
// Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/edited_answer.hpp"

namespace drover::gateway::dialect {

/// Says in `response` that its answer reached the limit: the last of what was said was cut off.
void mark_incomplete(boost::json::object& response);

/// Adds to the answer to one request what its clients rely on: numbers of events, items and parts,
/// the settings that were asked for, and that an answer which reached its limit is incomplete.
class ResponsesAnswer final : public EditedAnswer {
  public:
    /// `request` is the client's.
    ResponsesAnswer(boost::json::object request, std::string_view model, std::int64_t now_s);

  protected:
    bool edit(boost::json::object& answer) override;
    bool edit_event(boost::json::object& event, std::string& out) override;

  private:
    bool reached_limit(const boost::json::object& response) const;
    void complete(boost::json::object& response) const;
    void number(boost::json::object& event);
    void place(boost::json::object& event);
    std::int64_t index_of(std::string_view item);
    void end_arguments(const boost::json::object& done, std::string& out);

    boost::json::value request_;  ///< an object
    std::string model_;
    std::int64_t now_s_;
    std::int64_t sequence_ = 0;
    std::vector<std::string> items_;  ///< ids, in their order
};

}  // namespace drover::gateway::dialect
