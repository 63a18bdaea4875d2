#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/units.hpp"
#include "cli/context.hpp"
#include "cli/json_read.hpp"
#include "cli/table.hpp"
#include "platform/files.hpp"

namespace drover::cli {

namespace json = boost::json;

namespace {

constexpr Bytes kPromptMax = 64_MiB;

struct Question {
    std::vector<std::string> words;
    std::string file;
    std::string route = "auto";
    bool raw = false;
};

double real(const json::value* object, std::string_view key) {
    const json::value* value = object == nullptr ? nullptr : member(*object, key);
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

bool flag(const json::value& object, std::string_view key) {
    const json::value* value = member(object, key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

std::string joined(const json::array& names) {
    std::string text;
    for (const json::value& name : names) {
        text += text.empty() ? "" : ", ";
        text += name.is_string() ? std::string(std::string_view(name.get_string())) : "";
    }
    return text;
}

void print_facts(const json::value& answer) {
    const json::value* facts = member(answer, "facts");
    if (facts == nullptr) {
        return;
    }
    const std::string language = text(*facts, "language");
    std::printf("facts       %lld bytes of text, %s%s%s%s%s\n",
                static_cast<long long>(number(*facts, "text_bytes")),
                text(*facts, "endpoint").c_str(),
                language.empty() ? "" : ", language ",
                language.c_str(),
                flag(*facts, "tools") ? ", tools" : "",
                flag(*facts, "images") ? ", images" : "");
}

void print_classifier(const json::value& stage) {
    const json::value* classifier = member(stage, "classifier");
    if (classifier == nullptr) {
        return;
    }
    const std::string model = text(*classifier, "model");
    if (flag(*classifier, "cached")) {
        std::printf("            as %s said of this prompt before\n", model.c_str());
    } else if (flag(*classifier, "answered")) {
        std::printf("            asked %s, %lld ms\n",
                    model.c_str(),
                    static_cast<long long>(number(*classifier, "ms")));
    } else {
        std::printf("            without %s, which did not say: %s\n",
                    model.c_str(),
                    text(*classifier, "failure").c_str());
    }
}

/// What was looked at before, and did not decide.
void print_passed(const json::value& answer) {
    const char* name = "not by      ";
    for (const json::value& stage : elements(answer, "stages")) {
        const std::string rule = text(stage, "rule");
        if (text(stage, "outcome") == "passed") {
            std::printf("%s%s%s%s\n",
                        std::exchange(name, "            "),
                        text(stage, "why").c_str(),
                        rule.empty() ? "" : ": ",
                        rule.c_str());
        }
    }
}

void print_stages(const json::value& answer) {
    if (const json::value* task = member(answer, "task")) {
        std::printf("task        %s, confidence %.2f (%.2f needed)",
                    text(*task, "label").c_str(),
                    real(task, "confidence"),
                    real(task, "needed"));
        const json::value* all = member(*task, "probabilities");
        if (all != nullptr && all->is_object()) {
            for (const auto& [label, probability] : all->get_object()) {
                std::printf("; %s %.2f",
                            std::string(std::string_view(label)).c_str(),
                            real(all, std::string_view(label)));
            }
        }
        std::printf("\n");
        print_classifier(*task);
    }
    const json::value* complexity = member(answer, "complexity");
    if (complexity != nullptr && member(*complexity, "label") != nullptr) {
        std::printf("complexity  %s; easy %.2f (%.2f needed), hard %.2f\n",
                    text(*complexity, "label").c_str(),
                    real(complexity, "easy"),
                    real(complexity, "needed"),
                    real(complexity, "hard"));
        print_classifier(*complexity);
    } else if (complexity != nullptr) {
        std::printf(
            "complexity  score %.2f, the large model from %.2f on; small right %.2f, large "
            "right %.2f\n",
            real(complexity, "score"),
            real(complexity, "threshold"),
            real(complexity, "weak_right"),
            real(complexity, "strong_right"));
        print_classifier(*complexity);
    }
    if (const json::value* cascade = member(answer, "cascade")) {
        const std::string judged = joined(elements(*cascade, "judged"));
        std::printf("cascade     %s; judged: %s; confidence needed %.2f%s\n",
                    joined(elements(*cascade, "models")).c_str(),
                    judged.empty() ? "none" : judged.c_str(),
                    real(cascade, "confidence"),
                    flag(*cascade, "calibrated") ? "" : ", not calibrated");
    }
}

void print_targets(const json::value& answer) {
    std::vector<std::vector<std::string>> rows;
    for (const json::value& target : elements(answer, "targets")) {
        const bool usable = flag(target, "usable");
        rows.push_back({text(target, "model"),
                        !usable               ? "cannot do this"
                        : flag(target, "hot") ? "in memory"
                                              : "not in memory",
                        usable ? std::to_string(number(target, "expected_ms")) + " ms" : "",
                        usable ? to_string(Bytes(number(target, "bytes"))) : ""});
    }
    if (!rows.empty()) {
        std::printf("\n%s", format_table({"TARGET", "STATE", "BEGINS IN", "MEMORY"}, rows).c_str());
    }
}

void print(const json::value& answer) {
    std::printf("models      %s\n", joined(elements(answer, "models")).c_str());
    const std::string stage = text(answer, "stage");
    std::printf("because     %s%s%s%s\n",
                text(answer, "reason").c_str(),
                stage.empty() ? "" : " (stage ",
                stage.c_str(),
                stage.empty() ? "" : ")");
    print_passed(answer);
    print_facts(answer);
    print_stages(answer);
    print_targets(answer);
    if (member(answer, "decided_us") != nullptr) {
        std::printf("\ndecided in %lld us\n", static_cast<long long>(number(answer, "decided_us")));
    }
}

Result<std::string> prompt_of(const Question& question) {
    if (!question.file.empty()) {
        return platform::read_file(question.file, kPromptMax);
    }
    std::string prompt;
    for (const std::string& word : question.words) {
        prompt += (prompt.empty() ? "" : " ") + word;
    }
    if (prompt.empty()) {
        return Error{ErrorCode::invalid_argument, "there is no prompt; write one, or give --file"};
    }
    return prompt;
}

void explain(Context& context, const Question& question) {
    const auto prompt = prompt_of(question);
    if (!prompt.ok()) {
        return context.fail(prompt.error());
    }
    const auto client = context.client();
    if (!client.has_value()) {
        return;
    }
    const json::object message{{"role", "user"}, {"content", *prompt}};
    const auto answer = client->post(
        "/v1/route", json::object{{"model", question.route}, {"messages", json::array{message}}});
    if (!answer.ok()) {
        return context.fail(answer.error());
    }
    if (question.raw) {
        std::printf("%s\n", json::serialize(*answer).c_str());
    } else {
        print(*answer);
    }
}

}  // namespace

void add_route_explain(CLI::App& route, Context& context) {
    CLI::App* command =
        route.add_subcommand("explain", "Say which model would answer a prompt, and why");
    const auto question = std::make_shared<Question>();
    command->add_option("PROMPT", question->words, "What the user says");
    command->add_option("--file", question->file, "Read it from a file instead");
    command->add_option("--route", question->route, "Name of the route")->capture_default_str();
    command->add_flag("--json", question->raw, "The server's whole answer");
    command->callback([&context, question] { explain(context, *question); });
}

}  // namespace drover::cli
