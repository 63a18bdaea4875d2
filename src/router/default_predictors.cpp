#include "router/default_predictors.hpp"

#include <cstddef>
#include <string_view>

#include "base/assert.hpp"

// The files as they are, put into the program by the assembler; CMake says where they lie.
__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    "drover_task_predictor_begin:\n"
    ".incbin \"" DROVER_PREDICTORS
    "/task.route\"\n"
    "drover_task_predictor_end:\n"
    ".balign 16\n"
    "drover_complexity_predictor_begin:\n"
    ".incbin \"" DROVER_PREDICTORS
    "/complexity.route\"\n"
    "drover_complexity_predictor_end:\n"
    ".previous\n");

extern "C" {
extern const char drover_task_predictor_begin[];
extern const char drover_task_predictor_end[];
extern const char drover_complexity_predictor_begin[];
extern const char drover_complexity_predictor_end[];
}

namespace drover::router {

namespace {

Predictor opened(const char* begin, const char* end) {
    auto predictor =
        Predictor::open(std::string_view(begin, static_cast<std::size_t>(end - begin)));
    DROVER_ASSERT(predictor.ok());  // the build put in what the tests have opened
    return *std::move(predictor);
}

}  // namespace

const Predictor& default_task_predictor() {
    static const Predictor predictor =
        opened(drover_task_predictor_begin, drover_task_predictor_end);
    return predictor;
}

const Predictor& default_complexity_predictor() {
    static const Predictor predictor =
        opened(drover_complexity_predictor_begin, drover_complexity_predictor_end);
    return predictor;
}

}  // namespace drover::router
