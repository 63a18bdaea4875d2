// Who asks for what, when: seeded arrival patterns. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "base/rng.hpp"
#include "base/units.hpp"

namespace drover::sim {

/// How requests choose their model.
enum class Pattern {
    uniform,   ///< every model alike
    zipf,      ///< few models get most, exponent 0.9
    sessions,  ///< a client stays with a model for a while
    chains,    ///< agents call the same models in the same order
    hot_one,   ///< one model gets nearly everything: starves others if anything can
};

/// Draws models for a fixed number of clients.
class Workload {
  public:
    Workload(Pattern pattern, std::size_t models, std::size_t clients, Rng& rng);

    /// The index of the model that `client` asks for next.
    std::size_t next_model(std::size_t client);

  private:
    std::size_t zipf();

    Pattern pattern_;
    std::size_t models_;
    Rng& rng_;
    std::vector<double> cumulative_;    ///< of zipf's weights
    std::vector<std::size_t> current_;  ///< by client: its session's model or chain position
    std::vector<std::vector<std::size_t>> chains_;
    std::vector<std::size_t> chain_of_;  ///< by client
};

}  // namespace drover::sim
