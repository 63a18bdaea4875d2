// What Drover says of its models, as JSON. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/fleet.hpp"

namespace drover::gateway {

/// OpenAI's list of models; broken ones are left out.
std::string openai_models(const std::vector<control::ModelView>& models);

/// One entry of that list.
std::string openai_model(const control::ModelView& model);

/// The same as Anthropic's clients know it.
std::string anthropic_models(const std::vector<control::ModelView>& models);
std::string anthropic_model(const control::ModelView& model);

/// {"models": [...]} with everything Drover knows.
std::string admin_models(const std::vector<control::ModelView>& models);

/// {"budget": [...], "instances": [...], "queued": N}.
std::string admin_fleet(const control::FleetView& fleet);

}  // namespace drover::gateway
