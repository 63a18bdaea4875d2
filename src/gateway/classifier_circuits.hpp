// Leaves classifiers alone that keep taking too long. No clock of its own; one thread at a time.
#pragma once

#include <map>

#include "base/units.hpp"
#include "router/classifier.hpp"
#include "upstreams/circuit.hpp"

namespace drover::gateway {

/// A request waits for its classifier, up to the classifier's timeout. After three that waited in
/// vain the next ones do not ask for 10 s, then one finds out whether it answers again; each time
/// it does not the rest is twice as long, up to 5 minutes.
class ClassifierCircuits {
  public:
    /// Whether it may be asked; note() tells then what came of it. REQUIRES: `classifier` outlives
    /// this.
    bool may_ask(const router::Classifier& classifier, TimePoint now);

    /// A failure that took less than the timeout counts for nothing: it may come again.
    void note(const router::Classifier& classifier,
              const router::Classification& said,
              TimePoint now);

  private:
    struct Record {
        upstreams::Circuit circuit;
        TimePoint probed_until{};  ///< others do not ask while one finds out
    };
    Record& record_of(const router::Classifier& classifier);

    std::map<const router::Classifier*, Record> records_;
};

}  // namespace drover::gateway
