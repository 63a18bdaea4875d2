// Talks to a running server like any other client. Blocks; one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "base/result.hpp"

namespace drover::cli {

/// HTTP requests to one server. Errors carry the server's own message; `unavailable` with a remedy
/// when nobody answers.
class Client {
  public:
    /// `base` such as "http://127.0.0.1:11435".
    explicit Client(std::string base) : base_(std::move(base)) {}

    Result<boost::json::value> get(const std::string& path) const;
    Result<boost::json::value> post(const std::string& path, const boost::json::value& body) const;

    /// Sends a request whose answer has nothing to say but that it went well.
    Status send(const std::string& method,
                const std::string& path,
                const boost::json::value& body) const;

    /// Posts `body` and calls `on_line` with each line of the answer, a JSON object; ends as
    /// stream() does. A line that has an "error" is the result.
    Status stream_lines(const std::string& path,
                        const boost::json::value& body,
                        const std::function<void(const boost::json::value& line)>& on_line,
                        const std::function<bool()>& stopped) const;

    /// Posts `body` and calls `on_event` with the data of each server-sent event, until the stream
    /// ends, or `stopped` returns true (asked at least once a second): then the result is
    /// `cancelled`.
    Status stream(const std::string& path,
                  const boost::json::value& body,
                  const std::function<void(std::string_view data)>& on_event,
                  const std::function<bool()>& stopped) const;

    const std::string& base() const { return base_; }

  private:
    std::string base_;
};

}  // namespace drover::cli
