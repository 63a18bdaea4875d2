#include "gateway/dialect/edited_answer.hpp"

#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/field_reader.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// An event longer than this passes in pieces, as it is.
constexpr std::size_t kEditedEventMax = std::size_t{16} << 20;
constexpr std::string_view kEventEnd = "\n\n";
constexpr std::string_view kData = "data: ";

}  // namespace

std::string EditedAnswer::whole(std::string_view body) {
    json::error_code failed;
    json::value answer = json::parse(body, failed);
    const bool changed = !failed && answer.is_object() && edit(answer.get_object());
    return changed ? json::serialize(answer) : std::string(body);
}

void EditedAnswer::put(std::string_view piece, std::string& out) {
    held_ += piece;
    std::size_t begin = 0;
    for (std::size_t end = held_.find(kEventEnd); end != std::string::npos;
         end = held_.find(kEventEnd, begin)) {
        end += kEventEnd.size();
        take(std::string_view(held_).substr(begin, end - begin), out);
        begin = end;
    }
    held_.erase(0, begin);
    if (held_.size() > kEditedEventMax) {
        out += std::exchange(held_, {});
    }
}

void EditedAnswer::finish(std::string& out) {
    out += std::exchange(held_, {});
}

void EditedAnswer::take(std::string_view event, std::string& out) {
    const std::size_t data = event.starts_with(kData) ? 0 : event.find("\ndata: ");
    if (data != event.npos) {
        json::error_code failed;
        json::value document =
            json::parse(event.substr(event.find(kData, data) + kData.size()), failed);
        if (!failed && document.is_object() && edit_event(document.get_object(), out)) {
            return append_event(out, document.get_object());
        }
    }
    out += event;
}

bool EditedAnswer::edit_event(json::object& event, std::string&) {
    return edit(event);
}

void EditedAnswer::append_event(std::string& out, const json::object& event) {
    if (const json::value* type = event.if_contains("type"); type != nullptr && type->is_string()) {
        out.append("event: ").append(view(type->get_string())).append("\n");
    }
    out.append(kData).append(json::serialize(event)).append(kEventEnd);
}

}  // namespace drover::gateway::dialect
