// Prints what a model would take with given settings, and the command line that Drover would start
// it with, as one JSON object: for bench/memory_matrix.py, which compares it with what is measured.
//
//   drover-estimate FILE.gguf SERVER SOCKET [context=N] [parallel=N] [batch=N] [k=TYPE] [v=TYPE]
//                   [repack=0|1] [flash=0|1] [prompt_cache=SIZE] [task=generate|embedding]
//                   [lora=FILE] [mmproj=FILE] [draft=FILE] [mtp=1]

#include <charconv>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <unistd.h>

#include "control/sizing.hpp"
#include "engines/llama_cpp_args.hpp"
#include "models/companions.hpp"
#include "models/header_file.hpp"

namespace {

namespace config = drover::config;
namespace control = drover::control;
namespace engines = drover::engines;
namespace memory = drover::memory;
namespace models = drover::models;
using drover::Bytes;
using drover::Error;

std::uint32_t number(std::string_view text) {
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

struct Request {
    config::ModelSettings settings;
    std::vector<std::filesystem::path> adapters;
    std::optional<std::filesystem::path> projector;
    config::Task task = config::Task::automatic;
};

bool apply(Request& request, std::string_view argument) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string_view::npos) {
        return false;
    }
    const std::string_view name = argument.substr(0, equals);
    const std::string_view value = argument.substr(equals + 1);
    if (name == "context") {
        request.settings.context = number(value);
    } else if (name == "parallel") {
        request.settings.parallel = number(value);
    } else if (name == "batch") {
        request.settings.batch = number(value);
    } else if (name == "k") {
        request.settings.cache_type_k = std::string(value);
    } else if (name == "v") {
        request.settings.cache_type_v = std::string(value);
    } else if (name == "repack") {
        request.settings.repack = value == "1";
    } else if (name == "flash") {
        request.settings.flash_attention = value == "1";
    } else if (name == "prompt_cache") {
        const auto bytes = drover::parse_bytes(value);
        request.settings.prompt_cache = bytes.ok() ? *bytes : Bytes(0);
    } else if (name == "lora") {
        request.adapters.emplace_back(value);
    } else if (name == "mmproj") {
        request.projector = value;
    } else if (name == "draft") {
        request.settings.extra_args = {"--model-draft", std::string(value)};
    } else if (name == "mtp") {
        request.settings.extra_args = {"--spec-type", "draft-mtp"};
    } else if (name == "task") {
        request.task = value == "embedding" ? config::Task::embedding : config::Task::generate;
    } else {
        return false;
    }
    return true;
}

boost::json::object parts_of(const memory::SizeEstimate& size) {
    return {{"weights_mapped", size.weights_mapped.count()},
            {"weights_anonymous", size.weights_anonymous.count()},
            {"kv_cache", size.kv_cache.count()},
            {"recurrent_state", size.recurrent_state.count()},
            {"output_buffer", size.output_buffer.count()},
            {"compute_buffer", size.compute_buffer.count()},
            {"sampling", size.sampling.count()},
            {"checkpoints", size.checkpoints.count()},
            {"prompt_cache", size.prompt_cache.count()},
            {"process", size.process.count()}};
}

boost::json::object parts_of(const models::Companions& beside) {
    return {{"adapters", beside.adapters.count()},
            {"projector", beside.projector.count()},
            {"projector_buffers", beside.projector_buffers.count()},
            {"draft", beside.draft.count()},
            {"draft_buffers", beside.draft_buffers.count()}};
}

/// Of the file's tensors those that the engine reads.
Bytes weights_read(const models::ModelFacts& facts, const memory::SizeSettings& sizing) {
    return sizing.drafts ? facts.weights.total : facts.weights.total - facts.weights.draft;
}

int fail(const Error& error) {
    std::cerr << error.message << '\n';
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: drover-estimate FILE.gguf SERVER SOCKET [NAME=VALUE...]\n";
        return 2;
    }
    Request request;
    for (int i = 4; i < argc; ++i) {
        if (!apply(request, argv[i])) {
            std::cerr << "unknown setting: " << argv[i] << '\n';
            return 2;
        }
    }
    const auto files = models::files_of_model(argv[1]);
    if (!files.ok()) {
        return fail(files.error());
    }
    const auto facts = models::read_facts(*files);
    if (!facts.ok()) {
        return fail(facts.error());
    }
    const models::CpuFeatures cpu = control::processor();
    const auto settings =
        engines::resolve_settings(request.task, request.settings, {}, *facts, cpu);
    if (!settings.ok()) {
        return fail(settings.error());
    }
    std::vector<std::string> environment;
    for (char** entry = ::environ; *entry != nullptr; ++entry) {
        environment.emplace_back(*entry);
    }
    const auto plan = engines::plan_llama_cpp({.llama_server = argv[2],
                                               .socket = argv[3],
                                               .model_file = files->front(),
                                               .projector = request.projector.value_or(""),
                                               .adapters = request.adapters,
                                               .name = "model",
                                               .parent_environment = environment},
                                              *settings,
                                              *facts,
                                              {});
    if (!plan.ok()) {
        return fail(plan.error());
    }
    const memory::SizeSettings sizing = control::size_settings(*settings, cpu);
    const memory::SizeEstimate size = memory::estimate_size(*facts, sizing);
    models::Companions beside = models::read_companions(request.adapters, request.projector);
    if (const auto counted = control::count_draft(*settings, sizing, beside); !counted.ok()) {
        return fail(counted.error());
    }
    boost::json::array command(plan->argv.begin(), plan->argv.end());
    boost::json::array variables(plan->environment.begin(), plan->environment.end());
    const boost::json::object result{{"argv", std::move(command)},
                                     {"environment", std::move(variables)},
                                     {"context", settings->context},
                                     {"parallel", settings->parallel},
                                     {"batch", settings->batch},
                                     {"vocabulary", facts->vocabulary},
                                     {"embeds", settings->task != config::Task::generate},
                                     {"weights", weights_read(*facts, sizing).count()},
                                     {"beside", parts_of(beside)},
                                     {"parts", parts_of(size)},
                                     {"resident", size.resident_after_load().count()},
                                     {"total", size.total().count()}};
    std::cout << boost::json::serialize(result) << '\n';
    return 0;
}
