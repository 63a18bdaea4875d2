#include "engines/chat_template.hpp"

#include <cstddef>
#include <string_view>

namespace drover::engines {

namespace {

/// It travels as one argument, which Linux bounds to 128 KiB.
constexpr std::size_t kTemplateBytesMax = std::size_t{96} << 10;

constexpr std::string_view kTranscript =
    R"({{ bos_token }}{%- for message in messages -%}
{{ message.role | capitalize }}: {{ message.content | trim }}{{ "\n\n" }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ "Assistant:" }}{%- endif -%})";

/// Leaves `messages` without anything that only a template with tools understands.
constexpr std::string_view kToolsBecomeMessages =
    R"({%- if tools -%}
{%- set drover = namespace(messages=[], text="") -%}
{%- for tool in tools -%}
{%- set drover.text = drover.text + "\n" + (tool | tojson) -%}
{%- endfor -%}
{%- set drover.text = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" + drover.text + "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>" -%}
{%- if messages[0].role == "system" or not drover_system -%}
{%- set drover.messages = [{"role": messages[0].role, "content": messages[0].content + "\n\n" + drover.text}] -%}
{%- set messages = messages[1:] -%}
{%- else -%}
{%- set drover.messages = [{"role": "system", "content": drover.text}] -%}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == "tool" -%}
{%- set drover.messages = drover.messages + [{"role": "user", "content": "<tool_response>\n" + message.content + "\n</tool_response>"}] -%}
{%- elif message.tool_calls -%}
{%- set drover.text = message.content or "" -%}
{%- for call in message.tool_calls -%}
{%- set drover.text = drover.text + ("\n" if drover.text else "") + "<tool_call>\n{\"name\": \"" + call.function.name + "\", \"arguments\": " + (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) + "}\n</tool_call>" -%}
{%- endfor -%}
{%- set drover.messages = drover.messages + [{"role": message.role, "content": drover.text}] -%}
{%- else -%}
{%- set drover.messages = drover.messages + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = drover.messages -%}
{%- endif %})";

}  // namespace

std::optional<std::string> replacement_template(const models::ModelFacts& facts) {
    const std::string_view own = facts.chat_template;
    if (facts.tools || own.size() > kTemplateBytesMax || own.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view rest = own.empty() ? kTranscript : own;
    // Some templates refuse a system message, and show that they know of it if they take one.
    const bool takes_system = own.empty() || own.find("system") != std::string_view::npos;
    std::string text =
        takes_system ? "{%- set drover_system = true -%}" : "{%- set drover_system = false -%}";
    text += kToolsBecomeMessages;
    text += rest;
    return text;
}

std::string_view stop_word(const models::ModelFacts& facts) {
    return facts.chat_template.empty() && !facts.tools ? "\nUser:" : "";
}

}  // namespace drover::engines
