#include "cli/progress_view.hpp"

#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

#include "platform/clock.hpp"

namespace drover::cli {

namespace {

constexpr std::size_t kWidthDefault = 100;

std::size_t width() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col
                                                                             : kWidthDefault;
}

}  // namespace

ProgressView::ProgressView() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void ProgressView::show(const store::Progress& progress) {
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

void ProgressView::end() const {
    if (terminal_ && !status_.empty()) {
        std::fputs("\n", stderr);
    }
}

}  // namespace drover::cli
