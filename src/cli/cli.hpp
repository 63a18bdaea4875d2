// The command line: `drover COMMAND ...`. One file a command.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "config/load.hpp"

namespace drover::cli {

/// One check of `drover doctor`.
struct Finding {
    enum class Grade {
        ok,
        warning,
        failure
    };
    Grade grade;
    std::string subject;  ///< "engine", "memory", "model smol"
    std::string message;  ///< what was found
    std::string remedy;   ///< what to do about it; empty when nothing
};

/// What `drover plan` is asked.
struct PlanQuestion {
    std::vector<std::string> models;  ///< names, files or specs; none: the configured ones
    std::vector<Bytes> gpus;          ///< of the machine; none: those that it has
    std::string trace;                ///< a file of requests to replay; empty: none
    bool json = false;
};

/// What commands need of the server's inside; the composition root provides it.
struct Services {
    std::function<int(const config::Config&)> serve;  ///< returns the exit status
    /// What is wrong with a config that loading it does not show: in files that it names.
    std::function<std::vector<config::Problem>(const config::Config&)> check;
    std::function<std::vector<Finding>(const config::Config&)> diagnose;
    /// Everything that is known of one model, for people.
    std::function<Result<std::string>(const config::Config&, const std::string& model)> describe;
    /// Which models fit together, as text or JSON.
    std::function<Result<std::string>(const config::Config&, const PlanQuestion&)> plan;
};

/// Runs one command and returns the process's exit status: 0 fine, 1 failed, 2 wrong usage or
/// config.
int run(int argc, const char* const* argv, const Services& services);

}  // namespace drover::cli
