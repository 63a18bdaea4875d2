// What an engine may know of our environment. Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace drover::engines {

/// Of "NAME=value" entries those that a child's libraries need, and nothing that could change its
/// behaviour unasked (LLAMA_ARG_*) or that it has no business to know (keys, tokens). One that
/// `fetches` its model from the hub also gets the proxies, and the hub's settings and token.
std::vector<std::string> child_environment(const std::vector<std::string>& parent,
                                           bool fetches = false);

/// Puts "NAME=value" in place of what NAME has, or adds it.
void set_variable(std::vector<std::string>& environment, std::string entry);

}  // namespace drover::engines
