// Single fields of a multipart/form-data body: read, and replaced. Pure; any thread.
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

/// `body` with the value of the field replaced, or with the field in front when there is none, and
/// not another byte changed. Errors as above.
Result<std::string> with_multipart_field(std::string_view content_type,
                                         std::string_view body,
                                         std::string_view name,
                                         std::string_view value);

}  // namespace drover::gateway
