#include "cli/remote_store.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/units.hpp"
#include "cli/json_read.hpp"

namespace drover::cli {

namespace json = boost::json;

namespace {

Status transfer(const Client& server,
                const char* path,
                const std::string& reference,
                bool insecure,
                const store::OnProgress& on_progress,
                const store::Stopped& stopped) {
    const auto take = [&](const json::value& line) {
        on_progress({.status = text(line, "status"),
                     .digest = text(line, "digest"),
                     .total = Bytes(number(line, "total")),
                     .completed = Bytes(number(line, "completed"))});
    };
    return server.stream_lines(path, {{"model", reference}, {"insecure", insecure}}, take, stopped);
}

void row(std::string& page, std::string name, const std::string& value) {
    constexpr std::size_t kColumn = 16;
    if (!value.empty()) {
        name.resize(std::max(kColumn, name.size() + 1), ' ');
        page += name + value + "\n";
    }
}

void section(std::string& page, const std::string& name, const std::string& value) {
    if (!value.empty()) {
        page += "\n" + name + "\n  ";
        for (const char c : value) {
            page += c == '\n' ? std::string("\n  ") : std::string(1, c);
        }
        page += "\n";
    }
}

std::string shown(const json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

/// The members of `model_info` that say how large the model is, without the architecture's name.
void describe_info(const json::value& info, const std::string& architecture, std::string& page) {
    for (const auto& [name, label] : {std::pair(".context_length", "context"),
                                      std::pair(".embedding_length", "embedding"),
                                      std::pair(".block_count", "layers"),
                                      std::pair(".expert_count", "experts")}) {
        if (const json::value* value = member(info, architecture + name); value != nullptr) {
            row(page, label, shown(*value));
        }
    }
}

}  // namespace

Status remote_pull(const Client& server,
                   const std::string& reference,
                   bool insecure,
                   const store::OnProgress& on_progress,
                   const store::Stopped& stopped) {
    return transfer(server, "/api/pull", reference, insecure, on_progress, stopped);
}

Status remote_push(const Client& server,
                   const std::string& reference,
                   bool insecure,
                   const store::OnProgress& on_progress,
                   const store::Stopped& stopped) {
    return transfer(server, "/api/push", reference, insecure, on_progress, stopped);
}

Status remote_copy(const Client& server, const std::string& from, const std::string& to) {
    return server.send("POST", "/api/copy", {{"source", from}, {"destination", to}});
}

Status remote_remove(const Client& server, const std::string& model) {
    return server.send("DELETE", "/api/delete", {{"model", model}});
}

Result<std::string> remote_describe(const Client& server, const std::string& model) {
    const auto told = server.post("/api/show", {{"model", model}});
    if (!told.ok()) {
        return told.error();
    }
    const json::value* details = member(*told, "details");
    const json::value* info = member(*told, "model_info");
    std::string page;
    row(page, "name", model);
    if (details != nullptr) {
        row(page, "architecture", text(*details, "family"));
        row(page, "parameters", text(*details, "parameter_size"));
        row(page, "quantisation", text(*details, "quantization_level"));
    }
    if (info != nullptr) {
        describe_info(*info, text(*info, "general.architecture"), page);
    }
    std::string abilities;
    for (const json::value& one : elements(*told, "capabilities")) {
        abilities += (abilities.empty() ? "" : ", ") + shown(one);
    }
    row(page, "can", abilities);
    section(page, "parameters", text(*told, "parameters"));
    section(page, "system", text(*told, "system"));
    section(page, "licence", text(*told, "license"));
    section(page, "template", text(*told, "template"));
    return page;
}

}  // namespace drover::cli
