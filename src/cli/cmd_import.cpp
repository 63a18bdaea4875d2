#include <cstdio>
#include <memory>
#include <string>

#include "cli/context.hpp"
#include "importer/llama_swap.hpp"
#include "platform/files.hpp"
#include "platform/paths.hpp"

namespace drover::cli {

namespace {

/// Far above any sensible file.
constexpr Bytes kFileMax = 1_MiB;

void import_file(const std::string& file, Context& context) {
    const auto text = platform::read_file(file, kFileMax);
    if (!text.ok()) {
        return context.fail(text.error());
    }
    const auto imported = importer::import_llama_swap(*text, platform::process_environment());
    if (!imported.ok()) {
        return context.fail(imported.error().with(file));
    }
    // The configuration alone goes to standard output, so that it can be redirected.
    std::fputs(imported->yaml.c_str(), stdout);
    for (const importer::Note& note : imported->notes) {
        std::fprintf(stderr,
                     "%s:%d: %s %s\n",
                     file.c_str(),
                     note.line,
                     note.path.c_str(),
                     note.message.c_str());
    }
}

}  // namespace

void add_import(CLI::App& app, Context& context) {
    CLI::App* command =
        app.add_subcommand("import", "Turn another program's configuration into Drover's");
    command->require_subcommand(1);
    CLI::App* llama_swap = command->add_subcommand(
        "llama-swap", "Print the configuration that does what llama-swap's FILE says");
    const auto file = std::make_shared<std::string>();
    llama_swap->add_option("FILE", *file, "llama-swap's configuration")->required();
    llama_swap->callback([file, &context] { import_file(*file, context); });
}

}  // namespace drover::cli
