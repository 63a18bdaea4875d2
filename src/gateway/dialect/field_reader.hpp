// Reads the members of a client's JSON object and says which one is wrong. Pure; one thread at a
// time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/result.hpp"

namespace drover::gateway::dialect {

/// The first thing that is wrong with a request.
using Problem = std::optional<Error>;

/// Typed access to the members of one object. The first member of a wrong type is remembered in
/// `problem` by its path ("options.temperature"); reading goes on with nothing in its place, so
/// that a caller asks once, at the end. A null member counts as absent, as it does for Ollama.
class FieldReader {
  public:
    /// `object` and `problem` outlive the reader. `path` is what messages put before a name.
    FieldReader(const boost::json::object& object, Problem& problem, std::string path = {})
        : object_(object), problem_(problem), path_(std::move(path)) {}

    /// The member whatever its type; nullptr when absent or null.
    const boost::json::value* any(std::string_view name) const;

    /// Views hold as long as the object.
    std::optional<std::string_view> text(std::string_view name) const;
    std::optional<bool> flag(std::string_view name) const;
    std::optional<double> number(std::string_view name) const;
    /// A number without a fraction; 3.0 is one.
    std::optional<std::int64_t> whole(std::string_view name) const;
    const boost::json::object* object(std::string_view name) const;
    const boost::json::array* array(std::string_view name) const;

    /// "options.temperature" for the member `temperature` of the member `options`.
    std::string path_of(std::string_view name) const { return path_ + std::string(name); }

    /// Remembers `"PATH" MESSAGE` unless there is a problem already.
    void complain(std::string_view name, std::string_view message) const;

  private:
    const boost::json::object& object_;
    Problem& problem_;
    std::string path_;
};

/// A member's value as a string view.
inline std::string_view view(const boost::json::string& text) {
    return {text.data(), text.size()};
}

/// The text of the member `name` of `value` if it is an object that has one, else empty. For
/// answers of engines, where what is not understood is passed over.
std::string_view text_of(const boost::json::value* value, std::string_view name);

/// The member `name` of `value` if it is an object that has one, else nullptr.
const boost::json::value* member_of(const boost::json::value* value, std::string_view name);

/// The kind of a message's part, an item or a tool: its member `type`.
inline std::string_view type_of(const boost::json::value& value) {
    return text_of(&value, "type");
}

/// The same as a number; `fallback` when there is none.
double number_of(const boost::json::value* value, std::string_view name, double fallback = 0);

}  // namespace drover::gateway::dialect
