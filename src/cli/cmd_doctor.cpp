#include <cstdio>

#include "cli/context.hpp"

namespace drover::cli {

namespace {

const char* mark(Finding::Grade grade) {
    switch (grade) {
        case Finding::Grade::ok:
            return "ok  ";
        case Finding::Grade::warning:
            return "warn";
        case Finding::Grade::failure:
            return "FAIL";
    }
    return "";
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
    app.add_subcommand("doctor", "Check engine, memory, models and configuration")
        ->callback([&context] {
            config::Loaded loaded = context.load();
            if (loaded.problems.empty()) {
                loaded.problems = context.services.check(loaded.config);
            }
            std::vector<Finding> findings;
            for (const config::Problem& problem : loaded.problems) {
                findings.push_back(
                    {Finding::Grade::failure, "config", problem.to_string(), "correct the file"});
            }
            for (const config::Problem& warning : loaded.warnings) {
                findings.push_back({Finding::Grade::warning, "config", warning.to_string(), ""});
            }
            for (const std::string& note : loaded.notes) {
                findings.push_back({Finding::Grade::ok, "environment", note, ""});
            }
            if (loaded.problems.empty()) {
                findings.push_back({Finding::Grade::ok,
                                    "config",
                                    loaded.config.source.empty() ? "no file, built-in settings"
                                                                 : loaded.config.source.string(),
                                    ""});
            }
            const std::vector<Finding> inside = context.services.diagnose(loaded.config);
            findings.insert(findings.end(), inside.begin(), inside.end());
            for (const Finding& finding : findings) {
                std::printf("%s  %s: %s\n",
                            mark(finding.grade),
                            finding.subject.c_str(),
                            finding.message.c_str());
                if (!finding.remedy.empty()) {
                    std::printf("      -> %s\n", finding.remedy.c_str());
                }
                if (finding.grade == Finding::Grade::failure) {
                    context.exit_status = 1;
                }
            }
        });
}

}  // namespace drover::cli
