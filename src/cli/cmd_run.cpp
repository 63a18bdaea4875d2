#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <editline/readline.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "cli/json_read.hpp"

namespace drover::cli {

namespace json = boost::json;

namespace {

/// "loading ..." on a terminal until the first token comes.
class WaitingNote {
  public:
    explicit WaitingNote(const std::string& model) : shown_(::isatty(STDERR_FILENO) == 1) {
        if (shown_) {
            std::fprintf(stderr, "(waiting for %s)", model.c_str());
        }
    }
    void clear() {
        if (shown_) {
            std::fputs("\r\033[K", stderr);
            shown_ = false;
        }
    }

  private:
    bool shown_;
};

/// Streams one answer to standard output and returns it.
Result<std::string> answer(const Client& client,
                           const std::string& model,
                           const json::array& messages) {
    std::string whole;
    std::string failure;
    const InterruptGuard guard;
    WaitingNote note(model);
    const auto on_event = [&](std::string_view data) {
        boost::system::error_code error;
        const json::value event = json::parse(json::string_view(data.data(), data.size()), error);
        if (error) {
            return;  // "[DONE]"
        }
        if (const json::value* problem = member(event, "error"); problem != nullptr) {
            failure = text(*problem, "message");
        }
        for (const json::value& choice : elements(event, "choices")) {
            const json::value* delta = member(choice, "delta");
            const std::string piece = delta == nullptr ? "" : text(*delta, "content");
            if (!piece.empty()) {
                note.clear();
                whole += piece;
                std::fputs(piece.c_str(), stdout);
                std::fflush(stdout);
            }
        }
    };
    const Status status =
        client.stream("/v1/chat/completions",
                      {{"model", model}, {"messages", messages}, {"stream", true}},
                      on_event,
                      [] { return InterruptGuard::interrupted(); });
    note.clear();
    std::fputs("\n", stdout);
    if (!status.ok() && status.error().code != ErrorCode::cancelled) {
        return status.error();
    }
    if (!failure.empty()) {
        return Error{ErrorCode::engine_failed, failure};
    }
    return whole;
}

json::object message(const char* role, const std::string& content) {
    return {{"role", role}, {"content", content}};
}

/// A line typed by a person, with editing and history; nothing at the end of the input.
std::optional<std::string> read_line() {
    char* line = ::readline(">>> ");
    if (line == nullptr) {
        return std::nullopt;
    }
    std::string text = line;
    std::free(line);  // NOLINT: readline hands out malloc'ed memory
    if (!text.empty()) {
        ::add_history(text.c_str());
    }
    return text;
}

void chat(const Client& client, const std::string& model, Context& context) {
    std::printf("Chat with %s. /clear forgets the conversation, /bye or Ctrl-D ends.\n",
                model.c_str());
    json::array messages;
    while (const auto line = read_line()) {
        if (*line == "/bye" || *line == "/exit") {
            return;
        }
        if (*line == "/clear") {
            messages.clear();
            continue;
        }
        if (line->find_first_not_of(" \t") == std::string::npos) {
            continue;
        }
        messages.push_back(message("user", *line));
        const auto reply = answer(client, model, messages);
        if (reply.ok()) {
            messages.push_back(message("assistant", *reply));
        } else {
            messages.pop_back();
            std::fprintf(stderr, "drover: %s\n", reply.error().message.c_str());
        }
    }
    std::printf("\n");
    context.exit_status = 0;
}

/// Standard input is a file or another program's output, as in `drover run MODEL Summarize: <
/// FILE`.
bool input_is_given() {
    struct stat status {};
    return ::fstat(STDIN_FILENO, &status) == 0 &&
           (S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode));
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("run", "Ask a model, or chat with it");
    const auto model = std::make_shared<std::string>();
    const auto words = std::make_shared<std::vector<std::string>>();
    command->add_option("MODEL", *model, "Name of the model")->required();
    command->add_option(
        "PROMPT",
        *words,
        "What to ask, about standard input where that is a file or a pipe; without it: "
        "standard input alone, or a chat on a terminal");
    command->callback([&context, model, words] {
        const auto client = context.client();
        if (!client.has_value()) {
            return;
        }
        std::string prompt;
        for (const std::string& word : *words) {
            prompt += prompt.empty() ? word : " " + word;
        }
        if (prompt.empty() && ::isatty(STDIN_FILENO) == 1) {
            chat(*client, *model, context);
            return;
        }
        if (prompt.empty() || input_is_given()) {
            const std::string input(std::istreambuf_iterator<char>(std::cin), {});
            prompt = input + (input.empty() || prompt.empty() ? "" : "\n") + prompt;
        }
        if (const auto reply = answer(*client, *model, {message("user", prompt)}); !reply.ok()) {
            context.fail(reply.error());
        }
    });
}

}  // namespace drover::cli
