// A request's body as a JSON document. One thread at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

namespace drover::gateway {

/// Deeper than any tool schema, shallow enough for the parser's recursion.
inline constexpr std::size_t kJsonDepthMax = 256;

/// Built in the pieces in which the body arrives, so that a large one never holds up the loop.
/// RequestFieldsReader says what is wrong with a body; this one only stops.
class JsonBody {
  public:
    /// Forgets everything: the next piece begins a body.
    void start() {
        parser_.reset();
        failure_ = {};
    }

    void put(std::string_view piece) {
        if (!parser_.has_value()) {
            boost::json::parse_options options;
            options.max_depth = kJsonDepthMax;
            parser_.emplace(boost::json::storage_ptr(), options);
        }
        if (!failure_) {
            parser_->write(piece.data(), piece.size(), failure_);
        }
    }

    /// Nothing has come yet.
    bool empty() const { return !parser_.has_value(); }

    /// The document; empty when the body is no JSON object.
    boost::json::object take() {
        if (!parser_.has_value() || failure_) {
            return {};
        }
        parser_->finish(failure_);
        if (failure_) {
            return {};
        }
        boost::json::value document = parser_->release();
        parser_.reset();
        return document.is_object() ? std::move(document.get_object()) : boost::json::object();
    }

  private:
    std::optional<boost::json::stream_parser> parser_;
    boost::json::error_code failure_;
};

}  // namespace drover::gateway
