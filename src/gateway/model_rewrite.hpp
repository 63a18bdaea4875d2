// Puts another model's name into a request. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace drover::gateway {

/// `body` with the value of its top-level "model" replaced, and not another byte changed. Of a
/// repeated member the last one is, which is the one that counts. Nullopt: there is none that is a
/// string. REQUIRES: `body` is valid JSON.
std::optional<std::string> with_model(std::string_view body, std::string_view model);

/// The same of a multipart form, to which the field is added when there is none. Nullopt: it is no
/// such form.
std::optional<std::string> with_model_in_form(std::string_view content_type,
                                              std::string_view body,
                                              std::string_view model);

}  // namespace drover::gateway
