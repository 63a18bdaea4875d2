// The table of a model's settings.
#include <utility>

#include "config/fields.hpp"
#include "config/parsers.hpp"
#include "config/setters.hpp"

namespace drover::config {

namespace {

constexpr std::uint32_t kCountMax = 1U << 30;

template <typename Place>
ModelField count_field(std::string path,
                       std::string environment,
                       std::string example,
                       std::string help,
                       Place place,
                       std::int64_t low,
                       std::string what) {
    return {std::move(path),
            std::move(environment),
            std::move(example),
            std::move(help),
            setter<ModelSettings>(place, [low, what](std::string_view text) {
                return parse_number<std::uint32_t>(text, low, kCountMax, what);
            })};
}

template <typename Place>
ModelField flag_field(std::string path, std::string example, std::string help, Place place) {
    return {std::move(path),
            "",
            std::move(example),
            std::move(help),
            setter<ModelSettings>(place, parse_flag)};
}

std::vector<ModelField> make_model_fields() {
    const auto member = [](auto pointer) {
        return [pointer](ModelSettings & s) -> auto& {
            return s.*pointer;
        };
    };
    const auto parse_keep_alive = [](std::string_view text) {
        return parse_duration(text);
    };
    return {
        count_field("context",
                    "DROVER_CONTEXT",
                    "4096",
                    "Tokens that one request may use, prompt and answer together.",
                    member(&ModelSettings::context),
                    1,
                    "a number of tokens"),
        count_field("parallel",
                    "DROVER_PARALLEL",
                    "2",
                    "Requests that one instance serves at once; each has `context` tokens.",
                    member(&ModelSettings::parallel),
                    1,
                    "a number of requests"),
        count_field("queue",
                    "",
                    "64",
                    "Requests that may wait for the model; more get 429.",
                    member(&ModelSettings::queue),
                    1,
                    "a number of requests"),
        {"keep_alive",
         "DROVER_KEEP_ALIVE",
         "5m",
         "How long an idle model stays: a duration, 0 to leave at once, -1 to stay.",
         setter<ModelSettings>(member(&ModelSettings::keep_alive), parse_keep_alive)},
        {"priority",
         "",
         "0",
         "Higher ones load first and leave last.",
         setter<ModelSettings>(member(&ModelSettings::priority),
                               [](std::string_view text) {
                                   return parse_number<std::int32_t>(
                                       text, -1000, 1000, "a priority");
                               })},
        {"min_residency",
         "",
         "10s",
         "Once loaded the model stays at least this long, idle or not, unless somebody has waited "
         "for max_wait. Without it memory.min_residency applies.",
         setter<ModelSettings>(member(&ModelSettings::min_residency), parse_positive_duration)},
        count_field("batch",
                    "",
                    "512",
                    "Tokens that are computed in one step of a prompt.",
                    member(&ModelSettings::batch),
                    1,
                    "a number of tokens"),
        count_field("threads",
                    "DROVER_THREADS",
                    "0",
                    "Threads of one engine. 0: all cores while no other engine computes, else a "
                    "fair part of "
                    "them; half of the processors for an engine that cannot share.",
                    member(&ModelSettings::threads),
                    0,
                    "a number of threads"),
        {"cache_type_k",
         "",
         "f16",
         "Type of the cached keys: f16, q8_0, q4_0, ...",
         setter<ModelSettings>(member(&ModelSettings::cache_type_k), parse_cache_type)},
        {"cache_type_v",
         "",
         "f16",
         "Type of the cached values.",
         setter<ModelSettings>(member(&ModelSettings::cache_type_v), parse_cache_type)},
        flag_field("flash_attention",
                   "true",
                   "Without it the engine decides.",
                   member(&ModelSettings::flash_attention)),
        flag_field("repack",
                   "true",
                   "Rearrange weights for faster prompts on the CPU; takes about the size of the "
                   "weights once more, and time at every load.",
                   member(&ModelSettings::repack)),
        {"prompt_cache",
         "",
         "64MiB",
         "Host memory for conversations that lost their place in the engine.",
         setter<ModelSettings>(member(&ModelSettings::prompt_cache), parse_bytes)},
        flag_field("snapshots",
                   "true",
                   "Conversations go to disk when the model leaves memory, and come back with it.",
                   member(&ModelSettings::snapshots)),
        {"sleep",
         "",
         "true",
         "When its memory is needed, the engine sleeps instead of ending, if it can and there is "
         "room for what it keeps; it comes back in a fraction of a load. vLLM on GPUs keeps its "
         "weights in host memory where there is room for them (`1`, or `true`), else, or with `2`, "
         "it reads them again.",
         setter<ModelSettings>(member(&ModelSettings::sleep), parse_sleep)},
        {"device",
         "DROVER_DEVICE",
         "auto",
         "Where the model lies: `auto`, `host`, a GPU by its number or UUID, or a list of GPUs, "
         "over "
         "all of which it is split.",
         setter<ModelSettings>(member(&ModelSettings::device), parse_device)},
        {"gpu_layers",
         "",
         "auto",
         "Layers on GPUs: `auto` puts those on the host that fit nowhere else, `all` forbids that, "
         "a number is kept to; the output counts as one. Of llama.cpp.",
         setter<ModelSettings>(member(&ModelSettings::gpu_layers), parse_gpu_layers)},
    };
}

}  // namespace

const std::vector<ModelField>& model_fields() {
    static const std::vector<ModelField> table = make_model_fields();
    return table;
}

}  // namespace drover::config
