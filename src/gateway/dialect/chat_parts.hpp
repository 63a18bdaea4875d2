// Parts of chat completions that other APIs' requests become and answers are made of. Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

/// {"type": "text", "text": TEXT}
boost::json::object text_part(std::string_view text);

/// Remembers that a chat completion cannot say `what`, unless there is a problem already.
void refuse(Problem& problem, const std::string& what);

/// The first choice of a completion or a chunk; null: it has none.
const boost::json::value* choice_of(const boost::json::value& answer);

/// Offers only the tool `name` of those in `body`, and demands a call. Servers differ in whether
/// they understand a choice by name (llama-server does not); this all of them do.
void demand_tool(std::string_view name, boost::json::object& body);

}  // namespace drover::gateway::dialect
