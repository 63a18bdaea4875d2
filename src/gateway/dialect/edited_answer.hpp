// An engine's answer of which single documents are changed on their way. Pure; one thread at a
// time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "gateway/dialect/answer_translator.hpp"

namespace drover::gateway::dialect {

/// Hands the document of a whole answer, or that of each event, to edit(). What is no JSON object
/// passes as it is, and so do comments, which keep a silent stream alive.
class EditedAnswer : public AnswerTranslator {
  public:
    std::string whole(std::string_view body) final;
    void put(std::string_view piece, std::string& out) final;
    void finish(std::string& out) final;

  protected:
    /// Changes the whole answer. False: it stays as it is, byte by byte.
    virtual bool edit(boost::json::object& answer) = 0;

    /// The same for the document of one event; others may be put before it with append_event().
    virtual bool edit_event(boost::json::object& event, std::string& out);

    /// Appends an event that is called as its member "type" says, if it has one.
    static void append_event(std::string& out, const boost::json::object& event);

  private:
    void take(std::string_view event, std::string& out);

    std::string held_;  ///< the beginning of an event
};

}  // namespace drover::gateway::dialect
