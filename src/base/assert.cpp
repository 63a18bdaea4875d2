#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace drover::detail {

void fail_assertion(const char* condition, std::source_location where) {
    std::fprintf(stderr,
                 "%s:%u: %s: assertion failed: %s\n",
                 where.file_name(),
                 static_cast<unsigned>(where.line()),
                 where.function_name(),
                 condition);
    std::abort();
}

}  // namespace drover::detail
