// The tools of a chat completion that another API's request becomes. Pure; any thread.
#pragma once

#include <string_view>

#include <boost/json/object.hpp>

namespace drover::gateway::dialect {

/// Offers only the tool `name` of those in `body`, and demands a call. Servers differ in whether
/// they understand a choice by name (llama-server does not); this all of them do.
void demand_tool(std::string_view name, boost::json::object& body);

}  // namespace drover::gateway::dialect
