// The models of another server, changed through the API that it shares with Ollama. Blocks; one
// thread.
#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/client.hpp"
#include "store/progress.hpp"

namespace drover::cli {

/// `reference` as the server understands it. `cancelled` when `stopped` says so: the server keeps
/// what it has.
Status remote_pull(const Client& server,
                   const std::string& reference,
                   bool insecure,
                   const store::OnProgress& on_progress,
                   const store::Stopped& stopped);

/// Likewise, to the registry that `reference` names.
Status remote_push(const Client& server,
                   const std::string& reference,
                   bool insecure,
                   const store::OnProgress& on_progress,
                   const store::Stopped& stopped);

Status remote_copy(const Client& server, const std::string& from, const std::string& to);

Status remote_remove(const Client& server, const std::string& model);

/// What the server tells of one model, for people.
Result<std::string> remote_describe(const Client& server, const std::string& model);

}  // namespace drover::cli
