#include "gateway/request_fields.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <boost/json/basic_parser_impl.hpp>

#include "gateway/json_body.hpp"

namespace drover::gateway {

namespace json = boost::json;

namespace {

/// Longer names cannot be models.
constexpr std::size_t kModelNameMax = 512;

/// Longer members cannot be among ours.
constexpr std::size_t kKeyMax = 16;
constexpr std::size_t kKeepAliveMax = 64;

using Millis = std::chrono::milliseconds;

memory::KeepAlive keep_alive_of(Millis duration) {
    return duration < Millis(0) ? memory::KeepAlive() : memory::KeepAlive(duration);
}

/// The handler of Boost.JSON's parser: follows the nesting and keeps the few values that matter.
/// Each callback returns whether to go on.
class FieldsHandler {
  public:
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;
    using Code = json::error_code;
    using View = json::string_view;

    RequestFields fields;
    std::string complaint;  ///< why a member of ours is wrong, in words

    void clear() {
        fields.clear();
        complaint.clear();
        depth_ = 0;
        member_ = Member::other;
    }

    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_array_begin(Code& code) { return on_container(false, code); }
    bool on_array_end(std::size_t, Code&) { return leave(); }
    bool on_object_begin(Code& code) { return on_container(true, code); }
    bool on_object_end(std::size_t, Code&) { return leave(); }

    bool on_key_part(View part, std::size_t, Code&) {
        if (depth_ == 1) {
            add(key_, part, kKeyMax + 1);
        }
        return true;
    }
    bool on_key(View part, std::size_t size, Code& code) {
        if (depth_ != 1) {
            return true;
        }
        on_key_part(part, size, code);
        member_ = key_ == "model"        ? Member::model
                  : key_ == "stream"     ? Member::stream
                  : key_ == "keep_alive" ? Member::keep_alive
                                         : Member::other;
        key_.clear();
        text_.clear();
        return true;
    }

    bool on_string_part(View part, std::size_t, Code&) {
        if (ours()) {
            add(text_, part, kModelNameMax + 1);
        }
        return true;
    }
    bool on_string(View part, std::size_t size, Code& code) {
        if (depth_ == 0) {
            return refuse("the body must be a JSON object", code);
        }
        on_string_part(part, size, code);
        return !ours() || take_text(code);
    }

    bool on_number_part(View, Code&) { return true; }
    bool on_int64(std::int64_t number, View, Code& code) {
        return on_number(static_cast<double>(number), code);
    }
    bool on_uint64(std::uint64_t number, View, Code& code) {
        return on_number(static_cast<double>(number), code);
    }
    bool on_double(double number, View, Code& code) { return on_number(number, code); }
    bool on_bool(bool value, Code& code) {
        if (!scalar(code)) {
            return false;
        }
        if (ours() && member_ == Member::stream) {
            fields.stream = value;
        } else if (ours() && member_ != Member::other) {
            return refuse_member(code);
        }
        return true;
    }
    bool on_null(Code& code) {
        // As if the member were not there.
        if (ours() && member_ == Member::model) {
            fields.model.clear();
        } else if (ours() && member_ == Member::stream) {
            fields.stream = false;
        } else if (ours() && member_ == Member::keep_alive) {
            fields.keep_alive.reset();
        }
        return scalar(code);
    }
    bool on_comment_part(View, Code&) { return true; }
    bool on_comment(View, Code&) { return true; }

  private:
    enum class Member {
        other,
        model,
        stream,
        keep_alive
    };

    /// A value of the top-level object is being read.
    bool ours() const { return depth_ == 1 && member_ != Member::other; }

    static void add(std::string& text, View part, std::size_t limit) {
        text.append(part.data(), std::min(part.size(), limit - std::min(limit, text.size())));
    }

    bool leave() {
        --depth_;
        return true;
    }

    bool on_container(bool object, Code& code) {
        if (depth_ == 0 && !object) {
            return refuse("the body must be a JSON object", code);
        }
        if (ours()) {
            return refuse_member(code);
        }
        ++depth_;
        return true;
    }

    bool scalar(Code& code) { return depth_ > 0 || refuse("the body must be a JSON object", code); }

    bool on_number(double number, Code& code) {
        if (!scalar(code)) {
            return false;
        }
        if (!ours()) {
            return true;
        }
        if (member_ != Member::keep_alive) {
            return refuse_member(code);
        }
        // Seconds, as Ollama has it. Beyond a century it is for ever, which also bounds the cast.
        constexpr double kSecondsMax = 100.0 * 365 * 24 * 3600;
        fields.keep_alive = number < 0 || number > kSecondsMax
                                ? memory::KeepAlive()
                                : keep_alive_of(Millis(std::llround(number * 1000)));
        return true;
    }

    bool take_text(Code& code) {
        switch (member_) {
            case Member::model:
                if (text_.size() > kModelNameMax) {
                    return refuse("\"model\" is too long", code);
                }
                fields.model = text_;
                return true;
            case Member::keep_alive: {
                const auto duration = parse_duration(text_.substr(0, kKeepAliveMax));
                if (!duration.ok()) {
                    return refuse("\"keep_alive\": " + duration.error().message, code);
                }
                fields.keep_alive = keep_alive_of(*duration);
                return true;
            }
            case Member::stream:
                return refuse_member(code);
            case Member::other:
                return true;
        }
        return true;
    }

    bool refuse_member(Code& code) {
        switch (member_) {
            case Member::model:
                return refuse("\"model\" must be a string", code);
            case Member::stream:
                return refuse("\"stream\" must be true or false", code);
            case Member::keep_alive:
                return refuse(
                    "\"keep_alive\" must be a number of seconds or a duration such as \"5m\"",
                    code);
            case Member::other:
                break;
        }
        return refuse("the body is not what was expected", code);
    }

    bool refuse(std::string why, Code& code) {
        complaint = std::move(why);
        code = json::error::exception;  // any error stops the parser; ours is told by `complaint`
        return false;
    }

    std::size_t depth_ = 0;
    Member member_ = Member::other;
    std::string key_;
    std::string text_;
};

json::parse_options parse_options() {
    json::parse_options options;
    options.max_depth = kJsonDepthMax;
    return options;
}

}  // namespace

struct RequestFieldsReader::Parser {
    json::basic_parser<FieldsHandler> json{parse_options()};
    json::error_code failure;
    std::size_t offset = 0;  ///< bytes read before the failure
};

RequestFieldsReader::RequestFieldsReader() : parser_(std::make_unique<Parser>()) {}
RequestFieldsReader::~RequestFieldsReader() = default;

void RequestFieldsReader::start() {
    parser_->json.reset();
    parser_->json.handler().clear();
    parser_->failure = {};
    parser_->offset = 0;
}

void RequestFieldsReader::put(std::string_view piece) {
    if (parser_->failure) {
        return;
    }
    std::size_t read = parser_->json.write_some(true, piece.data(), piece.size(), parser_->failure);
    if (!parser_->failure && read < piece.size()) {
        parser_->failure = json::error::extra_data;
    }
    parser_->offset += read;
}

Result<const RequestFields*> RequestFieldsReader::finish() {
    if (!parser_->failure && !parser_->json.done()) {
        parser_->json.write_some(false, "", 0, parser_->failure);
    }
    FieldsHandler& handler = parser_->json.handler();
    if (!handler.complaint.empty()) {
        return Error{ErrorCode::invalid_argument, handler.complaint};
    }
    if (parser_->offset == 0 && parser_->failure == json::error::incomplete) {
        return Error{ErrorCode::invalid_argument, "the body is empty; a JSON object was expected"};
    }
    if (parser_->failure) {
        return Error{ErrorCode::invalid_argument,
                     "the body is not valid JSON: " + parser_->failure.message() + " at byte " +
                         std::to_string(parser_->offset)};
    }
    return &handler.fields;
}

}  // namespace drover::gateway
