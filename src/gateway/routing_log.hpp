// What routes decided, how it went, and what people said of it: for training and calibrating, so
// only where somebody asked for it. On the loop only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "config/config.hpp"
#include "platform/append_log.hpp"
#include "router/policy.hpp"
#include "router/recent_table.hpp"
#include "router/verdict.hpp"

namespace drover::gateway {

/// One answer that a cascade judged.
struct CheckedAnswer {
    std::string model;
    router::Opinion opinion;
    std::size_t tokens = 0;
    std::chrono::milliseconds took{};
};

/// One routed request.
struct RoutedRequest {
    std::string_view id;  ///< of RoutingLog::next_id
    std::string_view route;
    std::string_view model;  ///< that answered, or was the last to be tried
    std::string_view reason;
    const router::Policy& policy;
    const router::RequestFacts& facts;
    const router::Decision& decision;
    const std::vector<CheckedAnswer>& checks;
    unsigned status = 0;  ///< 0: the client left
    std::chrono::milliseconds took{};
};

/// What came of feedback that can be understood.
enum class Judged {
    taken,
    unknown_answer,  ///< there is none with this id among the last 4,096
    enough           ///< the answer has been judged often
};

/// A JSON line for each; the format is in docs/routing.md.
class RoutingLog {
  public:
    explicit RoutingLog(config::RoutingConfig config);

    /// Opens the file when there is to be one. `io_error`.
    Status open();

    bool on() const { return file_.has_value(); }

    /// A name that a client can give its feedback under; not to be guessed.
    std::string next_id();

    void add(const RoutedRequest& request);

    /// Takes {"id", "correct" or "score", "label"}. `invalid_argument` says what is wrong.
    Result<Judged> take_feedback(const boost::json::object& feedback);

  private:
    void write(const boost::json::object& line);

    config::RoutingConfig config_;
    std::optional<platform::AppendLog> file_;
    router::RecentTable<std::uint32_t> requests_;  ///< how often each was judged
    Rng random_;
};

}  // namespace drover::gateway
