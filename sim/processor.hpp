// A few cores shared by all that computes, as on a small machine: more jobs than cores slow each
// other down.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/agenda.hpp"
#include "base/units.hpp"

namespace drover::sim {

/// Egalitarian processor sharing; each job can use one core at most. With zero cores every job runs
/// at full speed.
class Processor {
  public:
    using Job = std::uint64_t;

    Processor(Agenda& agenda, unsigned cores) : agenda_(agenda), cores_(cores) {}

    /// Calls `done` when `work` has been done.
    Job run(Duration work, std::function<void()> done);
    /// The job ends without `done`. Does nothing when it is over.
    void drop(Job job);

  private:
    struct Running {
        double left;  ///< nanoseconds of one core
        std::function<void()> done;
    };

    double speed() const;
    void advance();
    void schedule();
    void finish();

    Agenda& agenda_;
    unsigned cores_;
    Job last_ = 0;
    std::map<Job, Running> running_;
    TimePoint advanced_to_{};
    std::uint64_t generation_ = 0;
};

}  // namespace drover::sim
