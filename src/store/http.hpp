// Requests to registries and hubs over libcurl: proxies, redirects, tokens, repetition. Blocks; one
// thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::store {

struct HttpOptions {
    bool insecure = false;           ///< plain HTTP also to other machines
    std::chrono::seconds stall{30};  ///< a connection that sends nothing for this long is dropped
    /// Waits between attempts begin with this and double.
    std::chrono::milliseconds backoff{500};
    int attempts = 6;  ///< in a row without a byte of progress
};

/// What a server answered, as far as it matters.
struct HttpHead {
    long status = 0;
    std::string challenge;      ///< WWW-Authenticate
    std::string content_range;  ///< "bytes 0-9/100"
    std::string etag;
    std::string next;      ///< address of the next page (Link: <...>; rel="next")
    std::string location;  ///< where to go on, as the server wrote it
    std::string range;     ///< of an upload: "0-1023" is there
    std::optional<std::chrono::seconds> retry_after;
    std::optional<std::uint64_t> length;
};

/// A Bearer challenge, taken apart.
struct Challenge {
    std::string realm;
    std::string service;
    std::string scope;
};

/// Nothing when it is no Bearer challenge or names no realm.
std::optional<Challenge> parse_challenge(std::string_view text);

/// "https://host:1" of "https://host:1/path"; empty when it is no http(s) URL.
std::string origin_of(std::string_view url);

/// `reference`, which may be relative, as a whole URL; `base` is where it was found. Empty when it
/// is none.
std::string resolved(const std::string& base, const std::string& reference);

/// True for failures that may be gone in a moment: 408, 425, 429 and 5xx.
bool is_passing(long status);

/// A part of an open file.
struct FileSlice {
    int fd = -1;
    std::uint64_t begin = 0;
    std::uint64_t size = 0;
};

struct HttpRequest {
    std::string url;
    std::string method = "GET";
    std::string accept = "*/*";
    std::string range{};  ///< what is wanted: "0-0"
    std::string content_type{};
    std::string content_range{};
    std::string text{};                ///< the body; or
    std::optional<FileSlice> slice{};  ///< the body
    Bytes limit = 64_KiB;              ///< of the answer's body
    std::chrono::seconds patience{0};  ///< with silence; 0: as the options say
    /// Called several times a second with how much of the body is sent.
    std::function<void(std::uint64_t)> on_sent{};
};

struct HttpAnswer {
    HttpHead head{};
    std::string body{};
    std::string trouble{};  ///< of the transport; empty: there was an answer
    bool too_large = false;

    /// It may be another one next time.
    bool may_pass() const;
};

class Http {
  public:
    Http(HttpOptions options, std::function<bool()> stopped);

    /// Sent to this origin only, also after redirects. Never logged.
    void set_token(const std::string& origin, std::string token);

    /// GETs `url`: answers a Bearer challenge, repeats what may pass, and gives the body, at most
    /// `limit` long. `what` begins the messages: "the manifest of qwen3:8b". A 404 is `not_found`,
    /// 401 and 403 are `unauthorized`.
    Result<std::string> get(const std::string& url,
                            const std::string& accept,
                            Bytes limit,
                            const std::string& what,
                            HttpHead* head = nullptr);

    /// The head of the answer to a request for the first byte of `url`.
    Result<HttpHead> probe(const std::string& url, const std::string& what);

    /// Sends the request, and once more when that can answer a Bearer challenge; gives whatever
    /// came. `cancelled` when it was stopped.
    Result<HttpAnswer> send(const HttpRequest& request);

    /// Repeats what may pass, too; then the answer is one that will not.
    Result<HttpAnswer> send_patiently(const HttpRequest& request, const std::string& what);

    /// Sets up `handle` for `url`, with the token of its origin; `head` is filled in while the
    /// transfer runs and must outlive it. Refuses plain HTTP to other machines.
    Status prepare(CURL* handle, const std::string& url, HttpHead& head) const;

    /// Gets a token for `url` as `challenge` says. False when that is of no use.
    bool answer_challenge(const std::string& url, const std::string& challenge);

    /// What a failed answer means for the user.
    static Error failure(const HttpHead& head, const std::string& body, const std::string& what);

    /// How long to wait before attempt `attempt` (from 1) is repeated.
    std::chrono::milliseconds delay(int attempt, const HttpHead& head) const;

    const HttpOptions& options() const { return options_; }
    bool stopped() const { return stopped_ && stopped_(); }
    const std::function<bool()>& stop() const { return stopped_; }

  private:
    Result<HttpAnswer> ask(const HttpRequest& request) const;

    HttpOptions options_;
    std::function<bool()> stopped_;
    std::map<std::string, std::string> tokens_;  ///< by origin
};

}  // namespace drover::store
