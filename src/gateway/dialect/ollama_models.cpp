#include "gateway/dialect/ollama_models.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "gateway/dialect/clock.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway::dialect {

namespace json = boost::json;

namespace {

/// When a model that stays "for ever" leaves: Ollama has a date in the far future, too.
constexpr std::int64_t kForEverMs = std::int64_t{292} * 365 * 24 * 3600 * 1000;

/// Ollama's clients tell models apart by a digest of their manifest; there is none of a file that
/// lies in a folder, and to hash all of it takes too long. This one changes with the file's name,
/// size and time; what has no file, such as a route, is known by its own name.
std::string digest_of(const control::ModelView& model) {
    constexpr std::string_view kAlgorithm = "sha256:";
    if (model.digest.starts_with(kAlgorithm)) {
        return model.digest.substr(kAlgorithm.size());
    }
    constexpr std::uint64_t kPrime = 0x100000001B3;  // FNV-1a
    const std::string identity = (model.file.empty() ? model.name : model.file) + "\n" +
                                 std::to_string(model.size.count()) + "\n" +
                                 std::to_string(model.created);
    std::string digest;
    for (std::uint64_t round = 0; round < 4; ++round) {
        std::uint64_t hash = 0xCBF29CE484222325 + round;
        for (const char c : identity) {
            hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
        }
        std::array<char, 17> hex{};
        std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(hash));
        digest += hex.data();
    }
    return digest;
}

/// What /api/tags, /api/ps and /api/show say of a model alike.
json::object details_of(const control::ModelView& model) {
    json::object details{{"parent_model", ""},
                         {"format", "gguf"},
                         {"family", json_text(model.architecture)},
                         {"families", json::array{json_text(model.architecture)}},
                         {"parameter_size", human_count(model.parameters)},
                         {"quantization_level", json_text(model.quantisation)}};
    return details;
}

/// What only /api/tags says.
json::object details_with_lengths(const control::ModelView& model) {
    json::object details = details_of(model);
    if (model.trained_context > 0) {
        details["context_length"] = model.trained_context;
    }
    if (model.embedding_length > 0) {
        details["embedding_length"] = model.embedding_length;
    }
    return details;
}

/// 1e-05, not 9.999999747378752e-06: files hold single precision.
double shortest(double number) {
    const auto single = static_cast<float>(number);
    if (static_cast<double>(single) != number) {
        return number;
    }
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), single).ptr;
    std::from_chars(digits.data(), end, number);
    return number;
}

json::array capabilities_of(const control::ModelView& model) {
    json::array capabilities;
    for (const std::string& one : model.capabilities) {
        capabilities.emplace_back(json_text(one));
    }
    return capabilities;
}

json::object running(const control::ModelView& model,
                     const control::InstanceView& instance,
                     std::int64_t wall_ms) {
    const std::string name = valid_utf8(ollama_name(model.name));
    Bytes on_gpus;
    for (const control::DeviceShare& share : instance.devices) {
        on_gpus += share.device != "host" ? share.bytes : Bytes(0);
    }
    return {{"name", name},
            {"model", name},
            {"size", instance.bytes.count()},
            {"digest", digest_of(model)},
            {"details", details_of(model)},
            {"expires_at", rfc3339(instance.expires_at_ms.value_or(wall_ms + kForEverMs))},
            {"size_vram", on_gpus.count()},
            {"context_length", model.context}};
}

json::value metadata_value(const control::MetadataValue& value, bool verbose) {
    struct Visitor {
        bool verbose;
        json::value operator()(const std::string& one) const { return json_text(one); }
        json::value operator()(const std::vector<double>& numbers) const {
            if (!verbose) {
                return nullptr;
            }
            json::array array;
            for (const double number : numbers) {
                if (number == std::floor(number) && std::abs(number) < 9e15) {
                    array.emplace_back(static_cast<std::int64_t>(number));
                } else {
                    array.emplace_back(shortest(number));
                }
            }
            return array;
        }
        json::value operator()(double number) const {
            return std::isfinite(number) ? json::value(shortest(number)) : json::value(nullptr);
        }
        json::value operator()(std::uint64_t number) const { return number; }
        json::value operator()(std::int64_t number) const { return number; }
        json::value operator()(bool flag) const { return flag; }
    };
    return std::visit(Visitor{verbose}, value);
}

json::object model_info(const control::ModelDescription& description, bool verbose) {
    json::object info;
    for (const auto& [key, value] : description.metadata) {
        if (key != "general.name" && key != "tokenizer.chat_template") {
            info[valid_utf8(key)] = metadata_value(value, verbose);
        }
    }
    return info;
}

json::array tensors_of(const control::ModelDescription& description) {
    json::array tensors;
    for (const control::TensorView& tensor : description.tensors) {
        json::array shape;
        for (const std::uint64_t length : tensor.shape) {
            shape.emplace_back(length);
        }
        tensors.emplace_back(json::object{
            {"name", json_text(tensor.name)}, {"type", tensor.type}, {"shape", std::move(shape)}});
    }
    return tensors;
}

}  // namespace

std::string human_count(std::uint64_t count) {
    struct Unit {
        std::uint64_t size;
        const char* name;
        int digits;
    };
    for (const Unit& unit : {Unit{1'000'000'000, "B", 1}, {1'000'000, "M", 2}, {1'000, "K", 0}}) {
        if (count >= unit.size) {
            std::array<char, 32> text{};
            std::snprintf(text.data(),
                          text.size(),
                          "%.*f%s",
                          count % unit.size == 0 ? 0 : unit.digits,
                          static_cast<double>(count) / static_cast<double>(unit.size),
                          unit.name);
            return text.data();
        }
    }
    return std::to_string(count);
}

std::string ollama_name(std::string_view name) {
    const std::size_t slash = name.rfind('/');
    const std::string_view last = slash == std::string_view::npos ? name : name.substr(slash + 1);
    return std::string(name) + (last.find(':') == std::string_view::npos ? ":latest" : "");
}

std::string ollama_tags(const std::vector<control::ModelView>& models) {
    json::array list;
    for (const control::ModelView& model : models) {
        if (model.broken.has_value()) {
            continue;
        }
        std::vector<std::string> names = model.copies;
        names.insert(names.begin(), model.name);
        for (const std::string& one : names) {
            const std::string name = valid_utf8(ollama_name(one));
            list.emplace_back(json::object{{"name", name},
                                           {"model", name},
                                           {"modified_at", rfc3339(model.created * 1000)},
                                           {"size", model.size.count()},
                                           {"digest", digest_of(model)},
                                           {"details", details_with_lengths(model)},
                                           {"capabilities", capabilities_of(model)}});
        }
    }
    return json::serialize(json::object{{"models", std::move(list)}});
}

std::string ollama_ps(const std::vector<control::ModelView>& models,
                      const control::FleetView& fleet,
                      std::int64_t wall_ms) {
    std::vector<control::InstanceView> instances = fleet.instances;
    std::stable_sort(instances.begin(), instances.end(), [](const auto& a, const auto& b) {
        return a.expires_at_ms.value_or(INT64_MAX) > b.expires_at_ms.value_or(INT64_MAX);
    });
    json::array list;
    for (const control::InstanceView& instance : instances) {
        const auto model = std::find_if(models.begin(), models.end(), [&](const auto& one) {
            return one.name == instance.model;
        });
        if (model != models.end() && instance.state == "ready") {
            list.emplace_back(running(*model, instance, wall_ms));
        }
    }
    return json::serialize(json::object{{"models", std::move(list)}});
}

namespace {

/// 0.5, where JSON's serialiser says 5E-1.
std::string parameter_text(const json::value& value) {
    if (!value.is_double()) {
        return json::serialize(value);
    }
    std::array<char, 32> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), value.get_double()).ptr;
    return {digits.data(), end};
}

/// One line for each value, as a Modelfile has it: "stop    \"<end>\"".
std::string parameters_of(const models::Recipe& recipe) {
    constexpr std::size_t kColumn = 31;
    boost::system::error_code error;
    const json::value parsed =
        recipe.parameters.empty() ? json::value(nullptr) : json::parse(recipe.parameters, error);
    std::string lines;
    if (error || !parsed.is_object()) {
        return lines;
    }
    for (const auto& [key, value] : parsed.get_object()) {
        const std::string name(key);
        const json::array values = value.is_array() ? value.get_array() : json::array{value};
        for (const json::value& one : values) {
            lines += (lines.empty() ? "" : "\n") + name +
                     std::string(kColumn - std::min(name.size(), kColumn - 1), ' ') +
                     parameter_text(one);
        }
    }
    return lines;
}

}  // namespace

std::string ollama_show(const control::ModelView& model,
                        const control::ModelDescription& description,
                        bool verbose) {
    const std::string name = ollama_name(model.name);
    json::object answer;
    static const models::Recipe kNone;
    const models::Recipe& recipe = model.recipe != nullptr ? *model.recipe : kNone;
    std::string licence = description.licence;
    for (const std::string& one : recipe.licences) {
        licence += (licence.empty() ? "" : "\n") + one;
    }
    if (!licence.empty()) {
        answer["license"] = json_text(licence);
    }
    answer["modelfile"] = json_text(
        "# Modelfile generated by \"ollama show\"\n"
        "# To build a new Modelfile based on this, replace FROM with:\n"
        "# FROM " +
        name + "\n\nFROM " + (model.file.empty() ? name : model.file) + "\n");
    if (!description.chat_template.empty()) {
        answer["template"] = json_text(description.chat_template);
    }
    if (!recipe.system.empty()) {
        answer["system"] = json_text(recipe.system);
    }
    if (const std::string parameters = parameters_of(recipe); !parameters.empty()) {
        answer["parameters"] = json_text(parameters);
    }
    answer["details"] = details_of(model);
    json::object info = model_info(description, verbose);
    info["general.parameter_count"] = model.parameters;
    answer["model_info"] = std::move(info);
    answer["tensors"] = tensors_of(description);
    answer["capabilities"] = capabilities_of(model);
    answer["modified_at"] = rfc3339(model.created * 1000);
    return json::serialize(answer);
}

}  // namespace drover::gateway::dialect
