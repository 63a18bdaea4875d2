#include "store/http.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <unistd.h>

#include "base/host.hpp"
#include "base/text.hpp"
#include "platform/pause.hpp"

namespace drover::store {

namespace json = boost::json;

namespace {

constexpr long kConnectTimeoutSeconds = 20;
constexpr long kRedirectsMax = 10;
constexpr std::chrono::milliseconds kBackoffMax{30'000};
constexpr std::chrono::seconds kRetryAfterMax{120};
constexpr Bytes kTokenMax = 64_KiB;
/// Of an error's body this much is shown.
constexpr std::size_t kReasonMax = 300;
constexpr std::size_t kHeaderLineMax = 16384;

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ')) {
        text.remove_suffix(1);
    }
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    return text;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

/// The target of `<URL>; rel="next"`.
std::string next_page(std::string_view link) {
    if (link.find("rel=\"next\"") == link.npos || link.empty() || link.front() != '<') {
        return "";
    }
    return std::string(link.substr(1, std::min(link.find('>'), link.size()) - 1));
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* context) {
    auto& head = *static_cast<HttpHead*>(context);
    const std::string_view line(data, size * count);
    if (line.starts_with("HTTP/")) {
        head = {};  // after a redirect only the last answer counts
        const std::size_t space = line.find(' ');
        head.status = space == line.npos
                          ? 0
                          : static_cast<long>(parse_count(line.substr(space + 1, 3)).value_or(0));
        return line.size();
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos || line.size() > kHeaderLineMax) {
        return line.size();
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (equals_ignoring_case(name, "www-authenticate")) {
        head.challenge = std::string(value);
    } else if (equals_ignoring_case(name, "content-range")) {
        head.content_range = std::string(value);
    } else if (equals_ignoring_case(name, "etag")) {
        head.etag = std::string(value);
    } else if (equals_ignoring_case(name, "location")) {
        head.location = std::string(value);
    } else if (equals_ignoring_case(name, "range")) {
        head.range = std::string(value);
    } else if (equals_ignoring_case(name, "link")) {
        head.next = next_page(value);
    } else if (equals_ignoring_case(name, "content-length")) {
        head.length = parse_count(value);
    } else if (equals_ignoring_case(name, "retry-after")) {
        if (const auto seconds = parse_count(value); seconds.has_value()) {
            head.retry_after = std::min(
                std::chrono::seconds(std::min<std::uint64_t>(*seconds, 86'400)), kRetryAfterMax);
        }
    }
    return line.size();
}

struct Body {
    std::string text{};
    std::size_t limit = 0;
    bool too_large = false;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) {
    auto& body = *static_cast<Body*>(context);
    if (body.text.size() + size * count > body.limit) {
        body.too_large = true;
        return 0;
    }
    body.text.append(data, size * count);
    return size * count;
}

/// What is looked at while a request runs.
struct Watch {
    const Http& http;
    const HttpRequest& request;
};

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
    const auto& watch = *static_cast<const Watch*>(context);
    if (watch.request.on_sent) {
        watch.request.on_sent(static_cast<std::uint64_t>(sent));
    }
    return watch.http.stopped() ? 1 : 0;
}

/// Where the next bytes of a body are.
struct Source {
    FileSlice slice;
    std::uint64_t at = 0;
};

std::size_t on_read(char* data, std::size_t size, std::size_t count, void* context) {
    auto& source = *static_cast<Source*>(context);
    const std::uint64_t left = source.slice.size - source.at;
    const std::size_t wanted = std::min<std::uint64_t>(size * count, left);
    const ssize_t got =
        ::pread(source.slice.fd, data, wanted, static_cast<off_t>(source.slice.begin + source.at));
    if (got < 0 || (got == 0 && wanted > 0)) {
        return CURL_READFUNC_ABORT;
    }
    source.at += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
}

/// A redirection makes curl send the body again.
int on_seek(void* context, curl_off_t offset, int origin) {
    auto& source = *static_cast<Source*>(context);
    if (origin != SEEK_SET || offset < 0 ||
        static_cast<std::uint64_t>(offset) > source.slice.size) {
        return CURL_SEEKFUNC_FAIL;
    }
    source.at = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
}

Headers headers_of(const HttpRequest& request) {
    Headers headers(curl_slist_append(nullptr, ("Accept: " + request.accept).c_str()),
                    curl_slist_free_all);
    for (const auto& [name, value] : {std::pair("Content-Type: ", &request.content_type),
                                      std::pair("Content-Range: ", &request.content_range)}) {
        if (!value->empty()) {
            headers.reset(curl_slist_append(headers.release(), (name + *value).c_str()));
        }
    }
    return headers;
}

void set_method(CURL* handle, const HttpRequest& request, Source& source) {
    if (request.method == "HEAD") {
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request.method == "GET") {
        return;
    }
    if (request.slice.has_value()) {
        curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(
            handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(source.slice.size));
        curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(handle, CURLOPT_READDATA, &source);
        curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(handle, CURLOPT_SEEKDATA, &source);
    } else {
        curl_easy_setopt(
            handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.text.size()));
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.text.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

/// Of an origin: scheme, "://", perhaps a name to log in with and "@", host and port.
std::string_view host_of(std::string_view origin) {
    origin.remove_prefix(origin.find("://") + 3);
    return without_port(origin.substr(origin.rfind('@') + 1));
}

std::string escaped(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
                           std::string_view("-._~:/").find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += kHex[byte >> 4U];
            out += kHex[byte & 0xFU];
        }
    }
    return out;
}

/// curl's global state is made once, before the first handle of any thread.
void initialise() {
    static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
    static_cast<void>(done);
}

}  // namespace

std::optional<Challenge> parse_challenge(std::string_view text) {
    constexpr std::string_view kScheme = "bearer ";
    text = trimmed(text);
    if (text.size() < kScheme.size() ||
        !equals_ignoring_case(text.substr(0, kScheme.size()), kScheme)) {
        return std::nullopt;
    }
    text.remove_prefix(kScheme.size());
    Challenge challenge;
    while (!text.empty()) {
        const std::size_t equals = text.find('=');
        if (equals == text.npos) {
            break;
        }
        const std::string_view key = trimmed(text.substr(0, equals));
        text.remove_prefix(equals + 1);
        const bool quoted = text.starts_with('"');
        if (quoted) {
            text.remove_prefix(1);
        }
        const std::size_t end = std::min(text.find(quoted ? '"' : ','), text.size());
        const std::string value(text.substr(0, end));
        text.remove_prefix(end);
        text.remove_prefix(std::min(text.find_first_not_of("\", "), text.size()));
        if (equals_ignoring_case(key, "realm")) {
            challenge.realm = value;
        } else if (equals_ignoring_case(key, "service")) {
            challenge.service = value;
        } else if (equals_ignoring_case(key, "scope")) {
            challenge.scope = value;
        }
    }
    return challenge.realm.empty() ? std::nullopt : std::optional(std::move(challenge));
}

std::string origin_of(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme == url.npos ||
        (url.substr(0, scheme) != "http" && url.substr(0, scheme) != "https")) {
        return "";
    }
    const std::size_t end = url.find_first_of("/?#", scheme + 3);
    return to_lower(url.substr(0, end));
}

std::string resolved(const std::string& base, const std::string& reference) {
    const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
    char* text = nullptr;
    if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
        curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), 0) != CURLUE_OK ||
        curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) {
        return "";
    }
    const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
    return text;
}

bool is_passing(long status) {
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

bool HttpAnswer::may_pass() const {
    return !trouble.empty() || is_passing(head.status);
}

Http::Http(HttpOptions options, std::function<bool()> stopped)
    : options_(options), stopped_(std::move(stopped)) {
    initialise();
}

void Http::set_token(const std::string& origin, std::string token) {
    tokens_.insert_or_assign(origin, std::move(token));
}

Status Http::prepare(CURL* handle, const std::string& url, HttpHead& head) const {
    const std::string origin = origin_of(url);
    const bool plain = origin.starts_with("http://");
    if (origin.empty()) {
        return Error{ErrorCode::invalid_argument, "'" + url.substr(0, 200) + "' is no http(s) URL"};
    }
    if (plain && !options_.insecure && !is_loopback(host_of(origin))) {
        return Error{ErrorCode::invalid_argument,
                     origin + " would be asked without encryption; use https, or say --insecure"};
    }
    // From https never to http, whatever a redirect says.
    const char* protocols = plain ? "http,https" : "https";
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kRedirectsMax);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall.count()));
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "drover");
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &head);
    if (const auto token = tokens_.find(origin); token != tokens_.end()) {
        // curl keeps a bearer to the host that it was given for.
        curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, token->second.c_str());
    }
    return {};
}

Result<HttpAnswer> Http::ask(const HttpRequest& request) const {
    const Handle handle(curl_easy_init(), curl_easy_cleanup);
    const Headers headers = headers_of(request);
    HttpAnswer answer;
    Body body{.limit = static_cast<std::size_t>(request.limit.count())};
    Source source{.slice = request.slice.value_or(FileSlice())};
    Watch watch{*this, request};
    if (const Status status = prepare(handle.get(), request.url, answer.head); !status.ok()) {
        return status.error();
    }
    curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle.get(), CURLOPT_XFERINFODATA, &watch);
    set_method(handle.get(), request, source);
    if (!request.range.empty()) {
        curl_easy_setopt(handle.get(), CURLOPT_RANGE, request.range.c_str());
    }
    if (request.patience.count() > 0) {
        curl_easy_setopt(
            handle.get(), CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.patience.count()));
    }
    const CURLcode code = curl_easy_perform(handle.get());
    if (code == CURLE_ABORTED_BY_CALLBACK && stopped()) {
        return Error{ErrorCode::cancelled, "it was stopped"};
    }
    answer.body = std::move(body.text);
    answer.too_large = body.too_large;
    if (code != CURLE_OK && !body.too_large) {
        answer.trouble = curl_easy_strerror(code);
    }
    return answer;
}

Result<HttpAnswer> Http::send(const HttpRequest& request) {
    auto answer = ask(request);
    if (answer.ok() && answer->trouble.empty() && answer->head.status == 401 &&
        answer_challenge(request.url, answer->head.challenge)) {
        return ask(request);
    }
    return answer;
}

Result<HttpAnswer> Http::send_patiently(const HttpRequest& request, const std::string& what) {
    for (int attempt = 1;; ++attempt) {
        auto answer = send(request);
        if (!answer.ok()) {
            return answer.error().with(what);
        }
        if (!answer->may_pass()) {
            return answer;
        }
        if (attempt >= options_.attempts) {
            return answer->trouble.empty()
                       ? failure(answer->head, answer->body, what)
                       : Error{ErrorCode::unavailable,
                               what + ": " + origin_of(request.url) + ": " + answer->trouble +
                                   "; check the network, then try again: what is there is kept"};
        }
        if (!platform::pause(delay(attempt, answer->head), stopped_)) {
            return Error{ErrorCode::cancelled, "it was stopped"};
        }
    }
}

Result<std::string> Http::get(const std::string& url,
                              const std::string& accept,
                              Bytes limit,
                              const std::string& what,
                              HttpHead* head) {
    auto answer = send_patiently({.url = url, .accept = accept, .limit = limit}, what);
    if (!answer.ok()) {
        return answer.error();
    }
    if (answer->too_large) {
        return Error{ErrorCode::too_large,
                     what + ": the answer is larger than " + to_string(limit)};
    }
    if (answer->head.status != 200) {
        return failure(answer->head, answer->body, what);
    }
    if (head != nullptr) {
        *head = answer->head;
    }
    return std::move(answer->body);
}

Result<HttpHead> Http::probe(const std::string& url, const std::string& what) {
    auto answer = send_patiently({.url = url, .range = "0-0"}, what);
    if (!answer.ok()) {
        return answer.error();
    }
    if (answer->head.status != 200 && answer->head.status != 206) {
        return failure(answer->head, answer->body, what);
    }
    return std::move(answer->head);
}

bool Http::answer_challenge(const std::string& url, const std::string& text) {
    const auto challenge = parse_challenge(text);
    if (!challenge.has_value()) {
        return false;
    }
    std::string address = challenge->realm;
    address += address.find('?') == address.npos ? '?' : '&';
    address += "service=" + escaped(challenge->service) + "&scope=" + escaped(challenge->scope);
    // Nothing secret is sent: public models need a token, but no account.
    const auto answer = ask({.url = address, .accept = "application/json", .limit = kTokenMax});
    if (!answer.ok() || answer->head.status != 200) {
        return false;
    }
    boost::system::error_code error;
    const json::value value = json::parse(answer->body, error);
    const json::object* object = error ? nullptr : value.if_object();
    for (const std::string_view key : {"token", "access_token"}) {
        const json::value* token = object == nullptr ? nullptr : object->if_contains(key);
        if (token != nullptr && token->is_string()) {
            set_token(origin_of(url), std::string(token->get_string()));
            return true;
        }
    }
    return false;
}

Error Http::failure(const HttpHead& head, const std::string& body, const std::string& what) {
    std::string reason = body.substr(0, kReasonMax);
    std::replace_if(
        reason.begin(),
        reason.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20; },
        ' ');
    const std::string said = "the server answered " + std::to_string(head.status) +
                             (reason.empty() ? "" : " (" + reason + ")");
    if (head.status == 404) {
        return {ErrorCode::not_found, what + " does not exist; check the name: " + said};
    }
    if (head.status == 401 || head.status == 403) {
        return {ErrorCode::unauthorized,
                what + " is not public, or does not exist: " + said +
                    "; for the Hugging Face hub set HF_TOKEN and accept the model's terms there"};
    }
    if (head.status == 429) {
        return {ErrorCode::overloaded, what + ": " + said + "; pull again later"};
    }
    return {head.status >= 500 ? ErrorCode::unavailable : ErrorCode::io_error,
            what + ": " + said + (head.status >= 500 ? "; pull again later" : "")};
}

std::chrono::milliseconds Http::delay(int attempt, const HttpHead& head) const {
    if (head.retry_after.has_value()) {
        return std::max<std::chrono::milliseconds>(*head.retry_after, options_.backoff);
    }
    const int doublings = std::clamp(attempt - 1, 0, 16);
    return std::min(options_.backoff * (1 << doublings), kBackoffMax);
}

}  // namespace drover::store
