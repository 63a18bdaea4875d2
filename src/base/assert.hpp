// Assertions that stay on in release builds: a programmer error ends the process with its place and
// condition, because going on with broken invariants would break the memory promise.
#pragma once

#include <source_location>

namespace drover::detail {

[[noreturn]] void fail_assertion(const char* condition, std::source_location where);

}  // namespace drover::detail

/// Aborts with condition and place unless `condition` holds. On in every build.
#define DROVER_ASSERT(condition)  \
    (static_cast<bool>(condition) \
         ? void(0)                \
         : ::drover::detail::fail_assertion(#condition, std::source_location::current()))

/// Marks a place that no program state can reach, such as the end of an exhaustive switch.
#define DROVER_UNREACHABLE() \
    ::drover::detail::fail_assertion("unreachable", std::source_location::current())
