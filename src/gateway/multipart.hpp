// The one field of a multipart/form-data body that Drover must know. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace drover::gateway {

/// The value of the form field `name` in `body`, whose boundary is in `content_type`. Empty when
/// there is no such field; `invalid_argument` when this is no multipart form.
Result<std::string> multipart_field(std::string_view content_type,
                                    std::string_view body,
                                    std::string_view name);

}  // namespace drover::gateway
