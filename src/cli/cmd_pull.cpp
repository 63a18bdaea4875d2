#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress_bar.hpp"
#include "platform/clock.hpp"
#include "platform/paths.hpp"
#include "store/options.hpp"
#include "store/pull.hpp"

namespace drover::cli {

namespace {

constexpr std::size_t kWidthDefault = 100;

/// A line that is written over on a terminal; elsewhere one line for each thing that is done.
class ProgressView {
  public:
    void show(const store::Progress& progress) {
        if (!terminal_) {
            if (progress.status != status_) {
                status_ = progress.status;
                std::fprintf(stderr, "%s\n", status_.c_str());
            }
            return;
        }
        if (progress.status != status_ && !status_.empty()) {
            std::fputs("\n", stderr);
        }
        status_ = progress.status;
        const std::string line =
            bar_.line(status_, progress.completed, progress.total, platform::now(), width() - 1);
        std::fprintf(stderr, "\r%s\033[K", line.c_str());
        std::fflush(stderr);
    }

    void end() const {
        if (terminal_ && !status_.empty()) {
            std::fputs("\n", stderr);
        }
    }

  private:
    static std::size_t width() {
        winsize size{};
        return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col
                                                                                 : kWidthDefault;
    }

    bool terminal_ = ::isatty(STDERR_FILENO) == 1;
    std::string status_;
    ProgressBar bar_;
};

struct Asked {
    std::string reference;
    std::string name;
    bool insecure = false;
};

Result<store::ModelName> pull(const config::Config& config, const Asked& asked) {
    auto reference = store::parse_reference(asked.reference);
    if (!reference.ok()) {
        return reference.error();
    }
    store::PullOptions options = store::pull_options(config.store, platform::process_environment());
    options.insecure = asked.insecure;
    if (!asked.name.empty()) {
        auto name = store::parse_model_name(asked.name);
        if (!name.ok()) {
            return name.error();
        }
        options.name = std::move(*name);
    }
    const InterruptGuard guard;
    ProgressView view;
    auto pulled = store::pull(
        store::Store(config.store.dir),
        *reference,
        options,
        [&view](const store::Progress& progress) { view.show(progress); },
        [] { return InterruptGuard::interrupted(); });
    view.end();
    return pulled;
}

}  // namespace

void add_pull(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("pull", "Bring a model into the store");
    const auto asked = std::make_shared<Asked>();
    command
        ->add_option("MODEL",
                     asked->reference,
                     "qwen3:8b, hf.co/ORG/REPO:Q4_K_M, https://HOST/MODEL.gguf or ./MODEL.gguf")
        ->required();
    command->add_option("--name", asked->name, "What to call it here");
    command->add_flag("--insecure", asked->insecure, "Allow plain HTTP to other machines");
    command->callback([&context, asked] {
        const auto config = context.config();
        if (!config.has_value()) {
            return;
        }
        const auto pulled = pull(*config, *asked);
        if (pulled.ok()) {
            context.tell_server();
            std::printf("%s is there\n", pulled->display().c_str());
        } else {
            context.fail(pulled.error());
        }
    });
}

}  // namespace drover::cli
