// Whether something fits onto the disk of a store. Any thread; asks the file system.
#pragma once

#include "base/result.hpp"
#include "base/units.hpp"
#include "store/store.hpp"

namespace drover::store {

/// `io_error` that says what is missing when `needed` bytes more would not leave a reserve for
/// everybody else.
Status check_space(const Store& store, Bytes needed);

}  // namespace drover::store
