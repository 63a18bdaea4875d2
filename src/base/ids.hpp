// Identities that cannot be confused with each other. Pure; any thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace drover {

/// A number that names one thing of kind `Tag`. Zero is never given out.
template <typename Tag>
struct Id {
    std::uint64_t value = 0;

    constexpr auto operator<=>(const Id&) const = default;
    constexpr explicit operator bool() const { return value != 0; }
};

using ModelId = Id<struct ModelTag>;        ///< a model in the registry
using InstanceId = Id<struct InstanceTag>;  ///< one engine process, never reused
using RequestId = Id<struct RequestTag>;    ///< one client request, never reused

}  // namespace drover

template <typename Tag>
struct std::hash<drover::Id<Tag>> {
    std::size_t operator()(drover::Id<Tag> id) const noexcept {
        return std::hash<std::uint64_t>()(id.value);
    }
};
