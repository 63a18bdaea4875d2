// The keys of a llama-swap configuration: which are taken over, and what to say of the others. Any
// thread.
#pragma once

#include <map>
#include <set>
#include <string_view>

namespace drover::importer {

using Keys = std::map<std::string_view, std::string_view>;

/// Settings of the whole server without a counterpart, and what to say of each.
inline const Keys kGlobalNotes{
    {"logTimeFormat", "has no counterpart: the log's times are ISO 8601"},
    {"logToStdout", "has no counterpart: the log goes to standard error, or to log.file"},
    {"logRequests", "has no counterpart: requests are logged at log.level info"},
    {"store", "has no counterpart"},
    {"metricsMaxInMemory", "has no counterpart"},
    {"captureBuffer", "has no counterpart"},
    {"ui", "has no counterpart"},
    {"performance", "has no counterpart"},
    {"startPort", "is not needed: engines listen on private sockets, or on free ports"},
    {"sendLoadingState", "has no counterpart"},
    {"includeAliasesInList", "has no counterpart: aliases are not listed"},
    {"unloadTimeout", "has no counterpart; engine.stop_timeout is how long an engine may end"},
    {"apiKeys", "is left out: this server's keys are set in Drover's own way, if at all"},
    {"upstream", "has no counterpart"},
    {"profiles", "has no counterpart; a route can choose among models"},
    {"selectors", "has no counterpart; a route can choose among models"},
    {"matrix", "is not needed: the memory budget decides which models stay together"}};

/// The same of one model.
inline const Keys kModelNotes{
    {"name", "has no counterpart: write it as an alias if clients use it"},
    {"description", "has no counterpart"},
    {"unloadTimeout", "has no counterpart"},
    {"compat", "has no counterpart"},
    {"filters", "has no counterpart: requests are passed on as they are"},
    {"metadata", "has no counterpart"},
    {"sendLoadingState", "has no counterpart"},
    {"timeouts", "has no counterpart; engine.stall_timeout bounds an engine's silence"},
    {"capabilities", "has no counterpart: they come from the model's file"}};

/// What of a model is taken over.
inline const std::set<std::string_view> kModelKeys{"macros",
                                                   "cmd",
                                                   "env",
                                                   "proxy",
                                                   "checkEndpoint",
                                                   "cmdStop",
                                                   "ttl",
                                                   "useModelName",
                                                   "aliases",
                                                   "unlisted",
                                                   "concurrencyLimit"};

}  // namespace drover::importer
