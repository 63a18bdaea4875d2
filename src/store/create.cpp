#include "store/create.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "models/header_file.hpp"
#include "models/naming.hpp"
#include "store/download.hpp"
#include "store/quantise.hpp"

namespace drover::store {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

/// `over` on top of `under`; both are JSON objects, and what is none counts as empty.
std::string merged(const std::string& under, const std::string& over) {
    json::object result;
    for (const std::string* text : {&under, &over}) {
        boost::system::error_code error;
        const json::value value = json::parse(*text, error);
        if (!error && value.is_object()) {
            for (const auto& [key, member] : value.get_object()) {
                result.insert_or_assign(key, member);
            }
        }
    }
    return json::serialize(result);
}

class Creator {
  public:
    Creator(const Store& store,
            const CreateRequest& request,
            const OnProgress& on_progress,
            const Stopped& stopped)
        : store_(store), request_(request), on_progress_(on_progress), stopped_(stopped) {}

    Status run(const std::optional<CreateBase>& base) {
        const auto name = parse_model_name(request_.model);
        if (!name.ok()) {
            return name.error();
        }
        const auto writing = store_.writing();
        if (!writing.ok()) {
            return writing.error();
        }
        DROVER_TRY(take_weights(base));
        DROVER_TRY(take_uploaded(request_.adapters, layer_kind::kAdapter));
        if (layers_of(layer_kind::kModel).empty()) {
            return Error{ErrorCode::invalid_argument,
                         "neither 'from' nor 'files' names a GGUF model to begin with"};
        }
        DROVER_TRY(quantise_weights());
        DROVER_TRY(take_fields());
        DROVER_TRY(describe());
        on_progress_({.status = "writing manifest"});
        DROVER_TRY(store_.put_manifest(*name, to_json(manifest_)));
        on_progress_({.status = "success"});
        return {};
    }

  private:
    Status take_weights(const std::optional<CreateBase>& base) {
        if (!request_.files.empty()) {
            return take_uploaded(request_.files, layer_kind::kModel);
        }
        if (request_.from.empty()) {
            return {};
        }
        const auto from = parse_model_name(request_.from);
        if (from.ok()) {
            if (auto entry = store_.find(*from); entry.ok()) {
                manifest_.layers = std::move(entry->manifest.layers);
                for (const Layer& layer : manifest_.layers) {
                    use(layer);
                }
                return {};
            }
        }
        if (!base.has_value()) {
            return Error{ErrorCode::not_found, "model '" + request_.from + "' not found"};
        }
        for (const fs::path& file : base->files) {
            DROVER_TRY(import(file, layer_kind::kModel));
        }
        if (base->projector.has_value()) {
            DROVER_TRY(import(*base->projector, layer_kind::kProjector));
        }
        for (const fs::path& adapter : base->recipe.adapters) {
            DROVER_TRY(import(adapter, layer_kind::kAdapter));
        }
        for (const auto& [kind, text] :
             {std::pair(layer_kind::kTemplate, base->recipe.template_text),
              std::pair(layer_kind::kSystem, base->recipe.system),
              std::pair(layer_kind::kParams, base->recipe.parameters),
              std::pair(layer_kind::kMessages, base->recipe.messages)}) {
            DROVER_TRY(replace(kind, text));
        }
        return add_licences(base->recipe.licences);
    }

    Status import(const fs::path& file, std::string_view kind) {
        auto layer = import_file(store_, file, on_progress_, stopped_);
        if (!layer.ok()) {
            return layer.error();
        }
        layer->media_type = media_type(kind);
        manifest_.layers.push_back(std::move(*layer));
        return {};
    }

    Status take_uploaded(const std::vector<std::pair<std::string, std::string>>& files,
                         std::string_view kind) {
        std::vector<std::pair<std::string, std::string>> sorted = files;
        std::sort(sorted.begin(), sorted.end());  // the parts of a split model in their order
        for (const auto& [file_name, text] : sorted) {
            const auto digest = Digest::parse(text);
            if (!digest.ok()) {
                return digest.error();
            }
            std::error_code error;
            const fs::path blob = store_.blob(*digest);
            const auto size = fs::file_size(blob, error);
            if (error) {
                return Error{ErrorCode::not_found,
                             "blob " + digest->to_string() + " of '" + file_name +
                                 "' is not there; upload it first"};
            }
            const auto part = models::read_part(blob);
            if (!part.ok()) {
                return Error{ErrorCode::invalid_argument,
                             "'" + file_name + "' cannot be used: " + part.error().message};
            }
            const std::string stem = fs::path(file_name).stem().string();
            const bool projector =
                models::is_projector(stem) || part->header.text("general.architecture") == "clip";
            manifest_.layers.push_back(
                {.media_type = media_type(
                     kind == layer_kind::kModel && projector ? layer_kind::kProjector : kind),
                 .digest = *digest,
                 .size = Bytes(static_cast<std::int64_t>(size)),
                 .title = fs::path(file_name).filename().string()});
            use(manifest_.layers.back());
        }
        return {};
    }

    Status quantise_weights() {
        if (request_.quantise.empty()) {
            return {};
        }
        const auto type = quantisation_type(request_.quantise);
        if (!type.ok()) {
            return type.error();
        }
        if (request_.quantiser.empty()) {
            return Error{ErrorCode::invalid_argument,
                         "there is no llama-quantize beside the engine's llama-server; "
                         "`scripts/install-engine` puts one there"};
        }
        if (layers_of(layer_kind::kModel).size() > 1) {
            return Error{ErrorCode::invalid_argument,
                         "a model of several files cannot be quantised; join them first with "
                         "llama.cpp's llama-gguf-split --merge"};
        }
        for (Layer& layer : manifest_.layers) {
            if (layer.kind() != layer_kind::kModel) {
                continue;
            }
            auto quantised =
                quantise(store_, layer, *type, request_.quantiser, on_progress_, stopped_);
            if (!quantised.ok()) {
                return quantised.error();
            }
            layer = std::move(*quantised);
        }
        return {};
    }

    void use(const Layer& layer) const {
        on_progress_({.status = "using existing layer " + layer.digest.to_string()});
    }

    std::vector<Layer> layers_of(std::string_view kind) const { return manifest_.of_kind(kind); }

    /// The only layer of its kind; an empty text removes it.
    Status replace(std::string_view kind, const std::string& text) {
        std::erase_if(manifest_.layers, [kind](const Layer& one) { return one.kind() == kind; });
        return text.empty() ? Status() : add(kind, text);
    }

    Status add(std::string_view kind, const std::string& text) {
        auto layer = store_.put_blob(kind, text);
        if (!layer.ok()) {
            return layer.error();
        }
        on_progress_({.status = "creating new layer " + layer->digest.to_string()});
        manifest_.layers.push_back(std::move(*layer));
        return {};
    }

    Status add_licences(const std::vector<std::string>& licences) {
        for (const std::string& licence : licences) {
            DROVER_TRY(add(layer_kind::kLicense, licence));
        }
        return {};
    }

    Status take_fields() {
        for (const auto& [kind, text] : {std::pair(layer_kind::kTemplate, &request_.template_text),
                                         std::pair(layer_kind::kSystem, &request_.system),
                                         std::pair(layer_kind::kMessages, &request_.messages)}) {
            if (text->has_value()) {
                DROVER_TRY(replace(kind, **text));
            }
        }
        if (request_.parameters.has_value()) {
            std::string known;
            for (const Layer& layer : layers_of(layer_kind::kParams)) {
                known = store_.text_of(layer).ok() ? *store_.text_of(layer) : "";
            }
            DROVER_TRY(replace(layer_kind::kParams, merged(known, *request_.parameters)));
        }
        return add_licences(request_.licences);
    }

    /// The config: what the header of the first file says.
    Status describe() {
        ImageConfig config{.format = "gguf", .family = "", .type = "", .quantisation = ""};
        std::vector<fs::path> files;
        for (const Layer& layer : layers_of(layer_kind::kModel)) {
            files.push_back(store_.blob(layer.digest));
        }
        const auto facts = models::read_facts(files);
        if (!facts.ok()) {
            return facts.error();
        }
        config.family = facts->architecture;
        config.type = facts->size_label;
        config.quantisation = facts->quantisation;
        auto layer = store_.put_blob("config", to_json(config, manifest_.layers));
        if (!layer.ok()) {
            return layer.error();
        }
        manifest_.config = std::move(*layer);
        return {};
    }

    const Store& store_;
    const CreateRequest& request_;
    const OnProgress& on_progress_;
    const Stopped& stopped_;
    Manifest manifest_;
};

}  // namespace

Status create(const Store& store,
              const CreateRequest& request,
              const std::optional<CreateBase>& base,
              const OnProgress& on_progress,
              const Stopped& stopped) {
    return Creator(store, request, on_progress, stopped).run(base);
}

}  // namespace drover::store
