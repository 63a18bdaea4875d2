// Starts the engine given by its arguments ([--guarded] SOCKET PROGRAM ARGUMENT...), prints its
// process number when it is ready, and watches it until it is killed: how a server looks to its
// engines. It can be the guard of an engine itself.
#include <cstdio>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>

#include "engines/supervisor.hpp"
#include "platform/async.hpp"
#include "platform/guard.hpp"
#include "platform/task_scope.hpp"

namespace drover {

platform::Task<> host(engines::Supervisor& supervisor) {
    const Status ready = co_await supervisor.start();
    std::printf("%d\n", ready.ok() ? supervisor.pid() : 0);
    std::fflush(stdout);
    co_await supervisor.wait_gone();
}

}  // namespace drover

int main(int argc, char** argv) {
    if (const auto status = drover::platform::run_as_guard(argc, argv)) {
        return *status;
    }
    const bool guarded = argc > 1 && std::string(argv[1]) == "--guarded";
    argc -= guarded ? 1 : 0;
    argv += guarded ? 1 : 0;
    if (argc < 3) {
        return 2;
    }
    drover::platform::Loop loop(1);
    drover::engines::LaunchPlan plan;
    plan.socket = argv[1];
    plan.argv.assign(argv + 2, argv + argc);
    if (guarded) {
        plan.argv = drover::platform::guarded(plan.argv);
        plan.guarded = true;
    }
    drover::engines::Supervisor supervisor(loop, plan);
    drover::platform::TaskScope tasks(loop);
    tasks.spawn("host", [&] { return drover::host(supervisor); });
    loop.run();
}
