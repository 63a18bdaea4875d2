// Whom TLS connections trust. Any thread may make one; used on the loop only.
#pragma once

#include <filesystem>
#include <memory>

#include <boost/asio/ssl/context.hpp>

#include "base/result.hpp"

namespace drover::engines {

/// Certificate authorities. Connections made with it check the server's certificate and its name.
class TlsTrust {
  public:
    /// Those in `ca_file` (PEM), or the system's when it is empty. Blocks on the disk.
    /// `invalid_argument` names the file.
    static Result<std::shared_ptr<TlsTrust>> load(const std::filesystem::path& ca_file);

    boost::asio::ssl::context& context() { return context_; }

  private:
    TlsTrust();

    boost::asio::ssl::context context_;
};

}  // namespace drover::engines
