// llama-swap's ${NAME} in texts. Pure; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover::importer {

/// Named texts in the order of their definition: a later one may use the earlier.
class Macros {
  public:
    using Environment = std::function<std::optional<std::string>(const std::string& name)>;

    explicit Macros(Environment environment) : environment_(std::move(environment)) {}

    /// Defines it, or gives it another text in the place that it has.
    void set(std::string name, std::string text);

    /// `text` with everything replaced that is known; ${env.NAME} first. The length is bounded:
    /// macros that blow up are left as they are.
    std::string expand(std::string_view text) const;

    /// The names in `text` that nothing is known of, PORT and PID left out.
    static std::vector<std::string> unknown(std::string_view text);

  private:
    struct Macro {
        std::string name;
        std::string text;
    };

    Environment environment_;
    std::vector<Macro> macros_;
};

/// All of `what` in `text` replaced by `by`.
std::string replaced(std::string text, std::string_view what, std::string_view by);

}  // namespace drover::importer
