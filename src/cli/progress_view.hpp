// What a person sees of a pull or a push. One thread.
#pragma once

#include <string>

#include "cli/progress_bar.hpp"
#include "store/progress.hpp"

namespace drover::cli {

/// A line that is written over on a terminal; elsewhere one line for each thing that is done. All
/// of it goes to standard error.
class ProgressView {
  public:
    ProgressView();

    void show(const store::Progress& progress);
    void end() const;

  private:
    bool terminal_;
    std::string status_;
    ProgressBar bar_;
};

}  // namespace drover::cli
