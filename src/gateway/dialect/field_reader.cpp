#include "gateway/dialect/field_reader.hpp"

#include <cmath>

#include <boost/json/value.hpp>

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// Whole numbers up to here are exact as a double.
constexpr double kWholeMax = 9007199254740992.0;

}  // namespace

const json::value* FieldReader::any(std::string_view name) const {
    const json::value* found = object_.if_contains(name);
    return found == nullptr || found->is_null() ? nullptr : found;
}

void FieldReader::complain(std::string_view name, std::string_view message) const {
    if (!problem_.has_value()) {
        problem_ =
            Error{ErrorCode::invalid_argument, "\"" + path_of(name) + "\" " + std::string(message)};
    }
}

std::optional<std::string_view> FieldReader::text(std::string_view name) const {
    const json::value* found = any(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (const json::string* text = found->if_string()) {
        return view(*text);
    }
    complain(name, "must be a string");
    return std::nullopt;
}

std::optional<bool> FieldReader::flag(std::string_view name) const {
    const json::value* found = any(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (const bool* flag = found->if_bool()) {
        return *flag;
    }
    complain(name, "must be true or false");
    return std::nullopt;
}

std::optional<double> FieldReader::number(std::string_view name) const {
    const json::value* found = any(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    json::error_code failure;
    const double number = found->to_number<double>(failure);
    if (failure || !std::isfinite(number)) {
        complain(name, "must be a number");
        return std::nullopt;
    }
    return number;
}

std::optional<std::int64_t> FieldReader::whole(std::string_view name) const {
    const json::value* found = any(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    json::error_code failure;
    const double number = found->to_number<double>(failure);
    if (failure || std::floor(number) != number || std::abs(number) > kWholeMax) {
        complain(name, "must be a whole number");
        return std::nullopt;
    }
    return static_cast<std::int64_t>(number);
}

const json::object* FieldReader::object(std::string_view name) const {
    const json::value* found = any(name);
    if (found == nullptr || found->is_object()) {
        return found == nullptr ? nullptr : &found->get_object();
    }
    complain(name, "must be an object");
    return nullptr;
}

const json::array* FieldReader::array(std::string_view name) const {
    const json::value* found = any(name);
    if (found == nullptr || found->is_array()) {
        return found == nullptr ? nullptr : &found->get_array();
    }
    complain(name, "must be an array");
    return nullptr;
}

const json::value* member_of(const json::value* value, std::string_view name) {
    return value != nullptr && value->is_object() ? value->get_object().if_contains(name) : nullptr;
}

std::string_view text_of(const json::value* value, std::string_view name) {
    const json::value* found = member_of(value, name);
    return found != nullptr && found->is_string() ? view(found->get_string()) : std::string_view();
}

double number_of(const json::value* value, std::string_view name, double fallback) {
    const json::value* found = member_of(value, name);
    json::error_code failure;
    const double number = found == nullptr ? fallback : found->to_number<double>(failure);
    return failure || !std::isfinite(number) ? fallback : number;
}

}  // namespace drover::gateway::dialect
