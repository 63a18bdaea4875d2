#include "app/describe.hpp"
#include "app/diagnose.hpp"
#include "app/plan.hpp"
#include "app/server.hpp"
#include "cli/cli.hpp"
#include "gateway/policy_builder.hpp"
#include "platform/guard.hpp"

int main(int argc, char** argv) {
    if (const auto status = drover::platform::run_as_guard(argc, argv)) {
        return *status;
    }
    return drover::cli::run(argc,
                            argv,
                            {.serve = drover::app::run_server,
                             .check =
                                 [](const drover::config::Config& config) {
                                     return drover::gateway::check_routes(config.routes);
                                 },
                             .diagnose = drover::app::diagnose,
                             .describe = drover::app::describe,
                             .plan = drover::app::plan});
}
