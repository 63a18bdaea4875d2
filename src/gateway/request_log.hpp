// One line a request. On the loop only.
#pragma once

#include <string_view>

#include "base/units.hpp"

namespace drover::gateway {

/// What is remembered of a request: never its content.
struct RequestRecord {
    std::string_view method;
    std::string_view path;
    std::string_view model;     ///< empty: none was involved
    std::string_view route{};   ///< empty: the request named a model
    std::string_view reason{};  ///< of the route's decision
    unsigned status = 0;        ///< 0: the client left before there was one
    TimePoint began{};          ///< its head was read
    TimePoint leased{};         ///< zero: never
    TimePoint first_byte{};     ///< zero: never
    TimePoint ended{};
};

/// Success at level debug, since a busy gateway serves thousands a second; failures at info.
void log_request(const RequestRecord& record);

}  // namespace drover::gateway
