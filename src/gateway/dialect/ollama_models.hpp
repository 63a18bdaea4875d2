// What there is, what runs and what a model is, as Ollama says it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/fleet.hpp"

namespace drover::gateway::dialect {

/// Whose API this is: clients ask for a version before they use what came with it.
inline constexpr std::string_view kOllamaVersion = "0.33.0";

/// "smollm2" -> "smollm2:latest"; a name with a tag stays.
std::string ollama_name(std::string_view name);

/// The body of an answer to /api/tags; broken models are left out.
std::string ollama_tags(const std::vector<control::ModelView>& models);

/// The body of an answer to /api/ps, longest staying first. `wall_ms`: now, since 1970.
std::string ollama_ps(const std::vector<control::ModelView>& models,
                      const control::FleetView& fleet,
                      std::int64_t wall_ms);

/// The body of an answer to /api/show. `verbose`: with arrays of numbers.
std::string ollama_show(const control::ModelView& model,
                        const control::ModelDescription& description,
                        bool verbose);

/// "135M", "1.1B": a number of parameters.
std::string human_count(std::uint64_t count);

}  // namespace drover::gateway::dialect
