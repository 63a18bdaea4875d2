#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace drover::detail {

void fail_assertion(const char* condition, const char* file, int line, const char* function) {
    std::fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, condition);
    std::abort();
}

}  // namespace drover::detail
