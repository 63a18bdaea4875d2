#include "router/facts.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>

#include "router/dataset.hpp"
#include "router/features.hpp"

namespace drover::router {

namespace json = boost::json;

namespace {

/// As deep as the gateway lets a body be.
constexpr std::size_t kDepthMax = 256;
constexpr std::size_t kKeyMax = 16;
/// Names of tools that are known, and their lengths.
constexpr std::size_t kToolsMax = 256;
constexpr std::size_t kNameMax = 256;

/// A text that grows beyond this loses its middle, which features do not read either.
constexpr std::size_t kTextMax = 2 * (kTextHead + kTextTail);

/// How much of a message identifies the conversation that begins with it.
constexpr std::size_t kOpeningMax = 4096;

void add_bounded(std::string& text, std::string_view part) {
    while (!part.empty()) {
        const std::string_view some = part.substr(0, kTextMax);
        part.remove_prefix(some.size());
        text += some;
        if (text.size() > kTextMax) {
            text.erase(kTextHead, text.size() - kTextHead - kTextTail);
        }
    }
}

/// Follows the nesting. What a string means is decided by the top-level member that it stands in
/// and the member that it is the value of: that covers all the APIs' shapes. Of a message only what
/// was said counts: the arguments of its tool calls, or its metadata, may have any members.
class FactsHandler {
  public:
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;
    using Code = json::error_code;
    using View = json::string_view;

    RequestFacts take() {
        RequestFacts facts = std::move(facts_);
        if (!user_.empty()) {
            facts.text = std::move(user_);
        } else if (!prompt_.empty()) {
            facts.text = std::move(prompt_);
        }
        return facts;
    }

    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_object_begin(Code&) {
        if (depth_ == 2 && in_messages()) {
            message_.clear();
            role_.clear();
            has_result_ = false;
        }
        if (begins_part()) {
            part_.clear();
            is_result_ = false;
        }
        if (top_ == Top::tools && depth_ == 2) {
            facts_.tools = true;
        }
        if (format_is_schema()) {
            facts_.json = true;
        }
        ++depth_;
        return true;
    }
    bool on_object_end(std::size_t, Code&) {
        --depth_;
        if (depth_ == 2 && in_messages()) {
            end_message();
        }
        if (begins_part()) {
            end_part();
        }
        return true;
    }
    bool on_array_begin(Code&) {
        ++depth_;
        return true;
    }
    bool on_array_end(std::size_t size, Code&) {
        --depth_;
        if (key_ == Key::images && may_have_images() && size > 0) {
            facts_.images = true;
        }
        key_ = Key::other;  // what follows in an outer array is not this member's
        return true;
    }
    bool on_key_part(View part, std::size_t, Code&) {
        name_.append(part.data(),
                     std::min(part.size(), kKeyMax + 1 - std::min(name_.size(), kKeyMax + 1)));
        return true;
    }
    bool on_key(View part, std::size_t size, Code& code) {
        on_key_part(part, size, code);
        if (depth_ == 1) {
            top_ = top_of(name_);
            last_top_ = name_;
        }
        if (depth_ <= closed_) {
            closed_ = 0;
        }
        key_ = is_closed() ? Key::other : key_of(name_);
        if (in_messages() && depth_ > 1 && !is_closed() && !has_parts(name_)) {
            closed_ = depth_;
        }
        if (key_ == Key::image && may_have_images()) {
            facts_.images = true;
        }
        name_.clear();
        string_.clear();
        return true;
    }
    bool on_string_part(View part, std::size_t, Code&) {
        take_string(part);
        return true;
    }
    bool on_string(View part, std::size_t, Code&) {
        take_string(part);
        if (key_ == Key::type && in_messages()) {
            facts_.images = facts_.images || is_image(string_);
            is_result_ = is_result_ || (depth_ == kPartDepth && string_ == "tool_result");
        }
        const bool names_format = (top_ == Top::format && (depth_ == 1 || key_ == Key::type)) ||
                                  (top_ == Top::form && depth_ == 3 && key_ == Key::type);
        if (names_format && string_.starts_with("json")) {
            facts_.json = true;
        }
        if (is_tool_name() && facts_.tool_names.size() < kToolsMax) {
            facts_.tool_names.push_back(string_);
        }
        string_.clear();
        return true;
    }
    bool on_number_part(View, Code&) { return true; }
    bool on_int64(std::int64_t number, View, Code&) {
        take_logprobs(number > 0);
        return true;
    }
    bool on_uint64(std::uint64_t, View, Code&) { return true; }
    bool on_double(double, View, Code&) { return true; }
    bool on_bool(bool value, Code&) {
        take_logprobs(value);
        return true;
    }
    bool on_null(Code&) { return true; }
    bool on_comment_part(View, Code&) { return true; }
    bool on_comment(View, Code&) { return true; }

  private:
    /// The member of the whole object that is being read.
    enum class Top {
        other,
        messages,
        input,  ///< messages, or a prompt
        prompt,
        tools,
        format,
        form,  ///< of a response's text: {format: {type}}
        logprobs
    };
    /// The innermost member that is being read.
    enum class Key {
        other,
        text,
        role,
        type,
        image,
        images,
        name
    };

    static Top top_of(std::string_view name) {
        return name == "messages"                                         ? Top::messages
               : name == "input"                                          ? Top::input
               : name == "prompt" || name == "query" || name == "content" ? Top::prompt
               : name == "tools" || name == "functions"                   ? Top::tools
               : name == "response_format" || name == "format"            ? Top::format
               : name == "text"                                           ? Top::form
               : name == "logprobs"                                       ? Top::logprobs
                                                                          : Top::other;
    }
    static Key key_of(std::string_view name) {
        return name == "content" || name == "text" || name == "input" || name == "prompt" ||
                       name == "query"
                   ? Key::text
               : name == "role"                         ? Key::role
               : name == "type"                         ? Key::type
               : name == "image_url" || name == "image" ? Key::image
               : name == "images"                       ? Key::images
               : name == "name"                         ? Key::name
                                                        : Key::other;
    }

    /// Ollama's `format`: "json", or the schema itself.
    bool format_is_schema() const {
        return top_ == Top::format && depth_ == 1 && last_top_ == "format";
    }
    /// tools: [{type, function: {name}}], or [{name}] of Anthropic's messages and of responses.
    bool is_tool_name() const {
        return top_ == Top::tools && key_ == Key::name && (depth_ == 3 || depth_ == 4);
    }

    void take_logprobs(bool wanted) {
        if (top_ == Top::logprobs && depth_ == 1) {
            facts_.logprobs = wanted;
        }
    }

    /// The members of a message, or of a part of it, whose parts are read.
    static bool has_parts(std::string_view name) { return name == "content" || name == "output"; }
    /// The types of such parts: of chats, of Anthropic's messages, of responses.
    static bool is_image(std::string_view type) {
        return type == "image_url" || type == "image" || type == "input_image";
    }
    bool may_have_images() const { return depth_ == 1 || in_messages(); }
    bool is_closed() const { return closed_ != 0 && depth_ > closed_; }
    /// What begins or has ended here is a part of a message: {type, text}.
    bool begins_part() const { return in_messages() && depth_ == kPartDepth - 1 && !is_closed(); }

    bool in_messages() const { return top_ == Top::messages || top_ == Top::input; }

    void take_string(View part) {
        const std::string_view some(part.data(), part.size());
        if (is_tool_name()) {
            string_.append(some.substr(0, kNameMax - std::min(string_.size(), kNameMax)));
        } else if (key_ == Key::type || key_ == Key::role || (top_ == Top::format && depth_ == 1)) {
            const bool role = key_ == Key::role && top_ != Top::format;
            std::string& text = role ? role_ : string_;
            if (!role || depth_ == 3) {
                text.append(some.substr(0, kKeyMax + 1 - std::min(text.size(), kKeyMax + 1)));
            }
        } else if (key_ == Key::text && in_messages() && depth_ >= 3) {
            facts_.bytes += some.size();
            add_bounded(depth_ < kPartDepth ? message_ : part_, some);
        } else if (key_ == Key::text && (top_ == Top::prompt || top_ == Top::input)) {
            facts_.bytes += some.size();
            add_bounded(prompt_, some);
        }
    }

    /// What a tool has said is not the user's, though Anthropic's messages have it in the user's
    /// name.
    void end_part() {
        if (is_result_) {
            has_result_ = true;
        } else {
            add_bounded(message_, part_);
        }
    }

    void end_message() {
        ++facts_.messages;
        // The beginning: instructions, if any, and the first thing that the user said.
        if (!opened_) {
            facts_.conversation ^=
                fnv64(std::string_view(message_).substr(0, kOpeningMax)) + facts_.messages;
        }
        if (role_ == "user" && !(has_result_ && message_.empty())) {
            opened_ = true;
            user_.swap(message_);
        }
    }

    /// Of the members of a part: {messages: [{content: [{type}]}]}.
    static constexpr std::size_t kPartDepth = 5;

    RequestFacts facts_;
    std::size_t depth_ = 0;
    std::size_t closed_ = 0;  ///< what is deeper is not looked at; 0: everything is
    Top top_ = Top::other;
    Key key_ = Key::other;
    std::string name_;
    std::string last_top_;     ///< name of the top-level member that is being read
    std::string string_;       ///< of a "type"
    std::string role_;         ///< of the message that is being read
    std::string message_;      ///< its text
    std::string part_;         ///< that of the part of it that is being read
    bool is_result_ = false;   ///< the part is a tool's result
    bool has_result_ = false;  ///< the message has such a part
    std::string user_;         ///< text of the user's last message
    std::string prompt_;
    bool opened_ = false;  ///< the user has said something
};

json::parse_options parse_options() {
    json::parse_options options;
    options.max_depth = kDepthMax;
    return options;
}

}  // namespace

struct FactsReader::Parser {
    json::basic_parser<FactsHandler> json{parse_options()};
    json::error_code failure;
};

FactsReader::FactsReader() : parser_(std::make_unique<Parser>()) {}
FactsReader::~FactsReader() = default;

void FactsReader::put(std::string_view piece) {
    if (!parser_->failure) {
        parser_->json.write_some(true, piece.data(), piece.size(), parser_->failure);
    }
}

RequestFacts FactsReader::finish() {
    return parser_->json.handler().take();
}

}  // namespace drover::router
