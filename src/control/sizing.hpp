// From a model's settings to what its size depends on. Pure but for processor() and count_draft();
// any thread.
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/settings.hpp"
#include "memory/size_estimate.hpp"
#include "models/model_facts.hpp"
#include "models/repack.hpp"

namespace drover::control {

/// The processor that local engines run on.
models::CpuFeatures processor();

memory::SizeSettings size_settings(const engines::ResolvedSettings& settings,
                                   const models::CpuFeatures& cpu);

/// Adds the draft model that the settings name, if they do, to what lies `beside`. Reads its
/// header, and fails when that cannot be read.
Status count_draft(const engines::ResolvedSettings& settings,
                   memory::SizeSettings sizing,
                   models::Companions& beside);

/// Everything that a size depends on, as text: two settings with the same text have the same size.
std::string text_of(const memory::SizeSettings& settings);

/// For a client whose model takes `size` and can never fit into `available`: what takes the memory,
/// and which settings would make it fit.
std::string size_advice(const models::ModelFacts& facts,
                        const memory::SizeSettings& settings,
                        Bytes available);

}  // namespace drover::control
