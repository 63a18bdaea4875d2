// Assertions that stay on in release builds: a programmer error ends the process with its place and
// condition, because going on with broken invariants would break the memory promise.
#pragma once

namespace drover::detail {

// Not std::source_location: clang 14 (clang-tidy, the fuzzers) has none with this standard library.
[[noreturn]] void fail_assertion(const char* condition,
                                 const char* file,
                                 int line,
                                 const char* function);

}  // namespace drover::detail

/// Aborts with condition and place unless `condition` holds. On in every build.
#define DROVER_ASSERT(condition)  \
    (static_cast<bool>(condition) \
         ? void(0)                \
         : ::drover::detail::fail_assertion(#condition, __FILE__, __LINE__, __func__))

/// Marks a place that no program state can reach, such as the end of an exhaustive switch.
#define DROVER_UNREACHABLE() \
    ::drover::detail::fail_assertion("unreachable", __FILE__, __LINE__, __func__)
