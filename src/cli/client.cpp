#include "cli/client.hpp"

#include <memory>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <curl/curl.h>

#include "cli/json_read.hpp"

namespace drover::cli {

namespace json = boost::json;

namespace {

constexpr long kConnectTimeoutSeconds = 5;

/// What goes on during one transfer.
struct Transfer {
    std::function<void(std::string_view)> on_data;
    std::function<bool()> stopped;
    CURL* handle = nullptr;
    std::string error_body;  ///< of a response that is no success
};

std::size_t receive(char* data, std::size_t size, std::size_t count, void* context) {
    auto& transfer = *static_cast<Transfer*>(context);
    const std::string_view piece(data, size * count);
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400) {
        transfer.error_body += piece;
    } else {
        transfer.on_data(piece);
    }
    return piece.size();
}

int progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& transfer = *static_cast<Transfer*>(context);
    return transfer.stopped && transfer.stopped() ? 1 : 0;
}

ErrorCode code_of(long status) {
    switch (status) {
        case 404:
            return ErrorCode::not_found;
        case 429:
            return ErrorCode::overloaded;
        case 503:
            return ErrorCode::unavailable;
        case 507:
            return ErrorCode::insufficient_memory;
        default:
            return status >= 500 ? ErrorCode::engine_failed : ErrorCode::invalid_argument;
    }
}

/// The message inside an error body of OpenAI's shape or of Ollama's, or the body itself.
std::string message_of(const std::string& body) {
    boost::system::error_code failed;
    const json::value value = json::parse(body, failed);
    if (!failed) {
        const json::value* error = member(value, "error");
        const json::value* message =
            error != nullptr && error->is_object() ? member(*error, "message") : error;
        if (message != nullptr && message->is_string()) {
            return std::string(message->get_string());
        }
    }
    return body.empty() ? "the server gave no reason" : body;
}

/// Calls `take` with each whole line of `buffer` and leaves the rest in it.
template <typename Take>
void take_lines(std::string& buffer, const Take& take) {
    std::size_t begin = 0;
    for (std::size_t end = buffer.find('\n'); end != std::string::npos;
         end = buffer.find('\n', begin)) {
        take(std::string_view(buffer).substr(begin, end - begin));
        begin = end + 1;
    }
    buffer.erase(0, begin);
}

/// A GET without a body, else a POST unless `method` says otherwise.
Status perform(const std::string& url,
               const std::string* body,
               Transfer& transfer,
               const char* method = nullptr) {
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(),
                                                                     curl_easy_cleanup);
    std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
        curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
    CURL* curl = handle.get();
    transfer.handle = curl;
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    if (body != nullptr) {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->c_str());
    }
    if (method != nullptr) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    }
    const CURLcode result = curl_easy_perform(curl);
    if (result == CURLE_ABORTED_BY_CALLBACK) {
        return Error{ErrorCode::cancelled, "stopped"};
    }
    if (result == CURLE_COULDNT_CONNECT) {
        return Error{ErrorCode::unavailable,
                     "no Drover answers at " + url.substr(0, url.find('/', 8)) +
                         "; start it with `drover serve`, or name another with --host"};
    }
    if (result != CURLE_OK) {
        return Error{ErrorCode::io_error, url + ": " + curl_easy_strerror(result)};
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400) {
        return Error{code_of(status), message_of(transfer.error_body)};
    }
    return {};
}

Result<json::value> fetch(const std::string& url, const std::string* body) {
    std::string text;
    Transfer transfer{.on_data = [&text](std::string_view piece) { text += piece; }, .stopped = {}};
    if (const Status status = perform(url, body, transfer); !status.ok()) {
        return status.error();
    }
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    if (error) {
        return Error{ErrorCode::io_error, url + " did not answer with JSON: is it a Drover?"};
    }
    return value;
}

}  // namespace

Result<json::value> Client::get(const std::string& path) const {
    return fetch(base_ + path, nullptr);
}

Result<json::value> Client::post(const std::string& path, const json::value& body) const {
    const std::string text = json::serialize(body);
    return fetch(base_ + path, &text);
}

Status Client::send(const std::string& method,
                    const std::string& path,
                    const json::value& body) const {
    const std::string text = json::serialize(body);
    Transfer transfer{.on_data = [](std::string_view) {}, .stopped = {}};
    return perform(base_ + path, &text, transfer, method.c_str());
}

Status Client::stream_lines(const std::string& path,
                            const json::value& body,
                            const std::function<void(const json::value&)>& on_line,
                            const std::function<bool()>& stopped) const {
    const std::string text = json::serialize(body);
    std::string buffer;
    Status outcome;
    const auto take = [&](std::string_view line) {
        boost::system::error_code failed;
        const json::value value = json::parse(line, failed);
        if (!failed && member(value, "error") != nullptr) {
            outcome = Status(Error{ErrorCode::io_error, message_of(std::string(line))});
        } else if (!failed) {
            on_line(value);
        }
    };
    Transfer transfer{.on_data =
                          [&](std::string_view piece) {
                              buffer += piece;
                              take_lines(buffer, take);
                          },
                      .stopped = stopped};
    DROVER_TRY(perform(base_ + path, &text, transfer));
    return outcome;
}

Status Client::stream(const std::string& path,
                      const json::value& body,
                      const std::function<void(std::string_view)>& on_event,
                      const std::function<bool()>& stopped) const {
    const std::string text = json::serialize(body);
    std::string buffer;
    Transfer transfer{.on_data =
                          [&](std::string_view piece) {
                              buffer += piece;
                              take_lines(buffer, [&](std::string_view line) {
                                  if (line.starts_with("data: ")) {
                                      on_event(line.substr(6));
                                  }
                              });
                          },
                      .stopped = stopped};
    return perform(base_ + path, &text, transfer);
}

}  // namespace drover::cli
