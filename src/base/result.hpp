// Result<T>: a value or an Error. std::expected is not there in C++20. Pure; any thread.
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace drover {

/// A `T`, or the Error that says why there is none. Reading the wrong side aborts.
template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value)
        : state_(std::in_place_index<0>, std::move(value)) {
    }  // NOLINT(google-explicit-constructor)
    Result(Error error)
        : state_(std::in_place_index<1>, std::move(error)) {
    }  // NOLINT(google-explicit-constructor)

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        DROVER_ASSERT(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        DROVER_ASSERT(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        DROVER_ASSERT(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const {
        DROVER_ASSERT(!ok());
        return *std::get_if<1>(&state_);
    }

  private:
    std::variant<T, Error> state_;
};

/// Success, or the Error that says why not.
template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }

    const Error& error() const {
        DROVER_ASSERT(!ok());
        return *error_;
    }

  private:
    std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace drover

/// Returns the error of `expression` (a Result or Status) from the calling function, if it has one.
#define DROVER_TRY(expression)                                        \
    do {                                                              \
        if (auto drover_status = (expression); !drover_status.ok()) { \
            return drover_status.error();                             \
        }                                                             \
    } while (false)
