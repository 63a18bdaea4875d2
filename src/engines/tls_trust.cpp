#include "engines/tls_trust.hpp"

#include <openssl/ssl.h>

namespace drover::engines {

namespace ssl = boost::asio::ssl;

TlsTrust::TlsTrust() : context_(ssl::context::tls_client) {
    SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION);
    context_.set_verify_mode(ssl::verify_peer);
}

Result<std::shared_ptr<TlsTrust>> TlsTrust::load(const std::filesystem::path& ca_file) {
    const std::shared_ptr<TlsTrust> trust(new TlsTrust());
    boost::system::error_code error;
    if (ca_file.empty()) {
        trust->context_.set_default_verify_paths(error);
    } else {
        trust->context_.load_verify_file(ca_file.string(), error);
    }
    if (error) {
        return Error{ErrorCode::invalid_argument,
                     "the certificate authorities" +
                         (ca_file.empty() ? "" : " in " + ca_file.string()) +
                         " cannot be read: " + error.message()};
    }
    return trust;
}

}  // namespace drover::engines
