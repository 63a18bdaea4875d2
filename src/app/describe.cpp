#include "app/describe.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <vector>

#include "app/wiring.hpp"
#include "base/text.hpp"
#include "control/sizing.hpp"
#include "engines/settings.hpp"
#include "memory/size_estimate.hpp"
#include "models/header_file.hpp"

namespace drover::app {

namespace {

/// The first lines of a text say what it is.
constexpr std::size_t kTextShown = 2000;
constexpr std::array<std::uint32_t, 6> kContexts{4096, 8192, 16384, 32768, 65536, 131072};

std::string grouped(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3; at -= 3) {
        text.insert(at - 3, ",");
    }
    return text;
}

class Page {
  public:
    void row(const std::string& name, const std::string& value) {
        constexpr std::size_t kColumn = 16;
        if (!value.empty()) {
            out_ << name << std::string(kColumn - std::min(name.size(), kColumn - 1), ' ') << value
                 << "\n";
        }
    }
    void section(const std::string& name) { out_ << "\n" << name << "\n"; }
    void text(const std::string& value) {
        std::istringstream lines(value.substr(0, kTextShown));
        for (std::string line; std::getline(lines, line);) {
            out_ << "  " << line << "\n";
        }
        if (value.size() > kTextShown) {
            out_ << "  ... (" << value.size() << " bytes)\n";
        }
    }
    std::string take() const { return out_.str(); }

  private:
    std::ostringstream out_;
};

void describe_facts(const models::ModelFacts& facts, Page& page) {
    page.row("architecture", facts.architecture);
    page.row("parameters", facts.parameters == 0 ? "" : grouped(facts.parameters));
    page.row("quantisation", facts.quantisation);
    page.row("layers", std::to_string(facts.layers.size()));
    page.row("context", grouped(facts.context_length) + " tokens at most");
    page.row("embedding", std::to_string(facts.embedding_length));
    page.row("vocabulary", grouped(facts.vocabulary));
    if (facts.expert_count > 0) {
        page.row("experts",
                 std::to_string(facts.expert_count) + ", " + std::to_string(facts.experts_used) +
                     " used by a token");
    }
    page.row("licence", facts.licence);
}

void describe_sizes(const config::Config& config, const models::Model& model, Page& page) {
    const models::CpuFeatures cpu = control::processor();
    const auto settings =
        engines::resolve_settings(model.task, model.settings, config.defaults, model.facts, cpu);
    if (!settings.ok()) {
        page.row("problem", settings.error().message);
        return;
    }
    page.section("memory, estimated");
    memory::SizeSettings sizing = control::size_settings(*settings, cpu);
    const auto row = [&](const std::string& note) {
        const memory::SizeEstimate size = memory::estimate_size(model.facts, sizing);
        page.row("  " + grouped(sizing.context) + " x " + std::to_string(sizing.parallel),
                 to_string(size.total()) + note);
    };
    const std::uint32_t configured = sizing.context;
    row("  (as configured: tokens of a request x requests at once)");
    for (const std::uint32_t context : kContexts) {
        if (context <= model.facts.context_length && context != configured) {
            sizing.context = context;
            row("");
        }
    }
}

/// A route has no file: the models that it chooses from.
std::string describe_route(const config::RouteEntry& route) {
    Page page;
    page.row("name", route.name);
    page.row("route", route.where);
    std::set<std::string> shown;
    for (const config::ModelUse& use : config::uses_of(route)) {
        if (shown.insert(use.model).second) {
            page.row("model", use.model);
        }
    }
    return page.take();
}

}  // namespace

Result<std::string> describe(const config::Config& config, const std::string& name) {
    for (const config::RouteEntry& route : config.routes) {
        if (equals_ignoring_case(route.name, name)) {
            return describe_route(route);
        }
    }
    const models::Registry registry = find_models(config);
    const models::Model* model = registry.find(name);
    if (model == nullptr) {
        std::string message = "model '" + name.substr(0, 200) + "' does not exist";
        for (const std::string& near : registry.nearest(name)) {
            message += "; did you mean '" + near + "'?";
            break;
        }
        return Error{ErrorCode::not_found, message + " `drover list` shows what there is"};
    }
    Page page;
    page.row("name", model->name);
    for (const std::string& alias : model->aliases) {
        page.row("also", alias);
    }
    for (const std::filesystem::path& file : model->files) {
        page.row("file", file.string());
    }
    if (model->broken.has_value()) {
        page.row("broken", model->broken->message);
        return page.take();
    }
    if (model->engine != config::EngineKind::llama_cpp) {
        return page.take();  // only its engine knows more
    }
    page.row("size", to_string(model->facts.file_size));
    describe_facts(model->facts, page);
    describe_sizes(config, *model, page);
    const auto part = models::read_part(model->files.front());
    if (const auto chat = part.ok() ? part->header.text("tokenizer.chat_template") : std::nullopt;
        chat.has_value()) {
        page.section("template");
        page.text(std::string(*chat));
    }
    return page.take();
}

}  // namespace drover::app
