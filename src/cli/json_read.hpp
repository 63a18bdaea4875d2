// Reading answers of the server without trusting their shape: what is missing reads as empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace drover::cli {

inline const boost::json::value* member(const boost::json::value& object, std::string_view key) {
    return object.is_object() ? object.get_object().if_contains(key) : nullptr;
}

inline std::string text(const boost::json::value& object, std::string_view key) {
    const boost::json::value* value = member(object, key);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

inline std::int64_t number(const boost::json::value& object, std::string_view key) {
    const boost::json::value* value = member(object, key);
    return value != nullptr && value->is_number() ? value->to_number<std::int64_t>() : 0;
}

/// The elements of an array member; none when it is no array.
inline boost::json::array elements(const boost::json::value& object, std::string_view key) {
    const boost::json::value* value = member(object, key);
    return value != nullptr && value->is_array() ? value->get_array() : boost::json::array();
}

}  // namespace drover::cli
