#include "store/disk_space.hpp"

#include "platform/files.hpp"

namespace drover::store {

namespace {

constexpr Bytes kDiskReserve = 64_MiB;

}  // namespace

Status check_space(const Store& store, Bytes needed) {
    const auto free = platform::free_space(store.root());
    if (!free.ok()) {
        return free.error();
    }
    if (needed > Bytes(0) && needed + kDiskReserve > *free) {
        return Error{ErrorCode::io_error,
                     to_string(needed) + " are needed on the disk of " + store.root().string() +
                         ", and " + to_string(*free) +
                         " are free; remove models with `drover rm`, or set store.dir to another "
                         "disk"};
    }
    return {};
}

}  // namespace drover::store
