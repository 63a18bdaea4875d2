// The part of a session that changes the models on the disk, in Ollama's words.
#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/assert.hpp"
#include "gateway/dialect/field_reader.hpp"
#include "gateway/session.hpp"
#include "platform/log.hpp"
#include "platform/notifier.hpp"

namespace drover::gateway {

namespace asio = boost::asio;
namespace json = boost::json;
using dialect::FieldReader;
using platform::Task;

namespace {

/// A client that reads slowly misses some progress; the end it does not miss.
constexpr std::size_t kLinesMax = 64;

/// What the work tells and the session writes. Shared, because either may end first.
struct ProgressLines {
    explicit ProgressLines(platform::Loop& loop) : changed(loop) {}

    std::deque<std::string> lines;
    std::optional<Status> outcome;
    platform::Notifier changed;

    void add(json::object line) {
        if (lines.size() >= kLinesMax) {
            lines.pop_back();
        }
        lines.push_back(json::serialize(line) + "\n");
        changed.notify_all();
    }
};

json::object line_of(const store::Progress& progress) {
    json::object line{{"status", progress.status}};
    if (!progress.digest.empty()) {
        line["digest"] = progress.digest;
    }
    if (progress.total > Bytes(0)) {
        line["total"] = progress.total.count();
    }
    if (progress.completed > Bytes(0)) {
        line["completed"] = progress.completed.count();
    }
    return line;
}

std::string chunk_of(std::string_view data) {
    std::array<char, 16> size{};
    const auto end = std::to_chars(size.data(), size.data() + size.size(), data.size(), 16).ptr;
    return std::string(size.data(), end) + "\r\n" + std::string(data) + "\r\n";
}

/// {"name.gguf": "sha256:..."} as pairs.
std::vector<std::pair<std::string, std::string>> files_of(const FieldReader& reader,
                                                          std::string_view name) {
    std::vector<std::pair<std::string, std::string>> files;
    if (const json::object* object = reader.object(name); object != nullptr) {
        for (const auto& [file, digest] : *object) {
            if (digest.is_string()) {
                files.emplace_back(std::string(file), std::string(digest.get_string()));
            } else {
                reader.complain(name, "must give a digest for each file");
            }
        }
    }
    return files;
}

std::vector<std::string> licences_of(const FieldReader& reader) {
    std::vector<std::string> licences;
    const json::value* value = reader.any("license");
    if (value == nullptr) {
        return licences;
    }
    if (value->is_string()) {
        return {std::string(value->get_string())};
    }
    if (value->is_array()) {
        for (const json::value& one : value->get_array()) {
            if (one.is_string()) {
                licences.emplace_back(one.get_string());
            }
        }
        return licences;
    }
    reader.complain("license", "must be a text or a list of texts");
    return licences;
}

std::optional<std::string> text_of(const FieldReader& reader, std::string_view name) {
    const auto text = reader.text(name);
    return text.has_value() ? std::optional(std::string(*text)) : std::nullopt;
}

store::CreateRequest create_request(const FieldReader& reader, std::string model) {
    store::CreateRequest request{.model = std::move(model),
                                 .from = text_of(reader, "from").value_or(""),
                                 .files = files_of(reader, "files"),
                                 .adapters = files_of(reader, "adapters"),
                                 .template_text = text_of(reader, "template"),
                                 .system = text_of(reader, "system"),
                                 .parameters = std::nullopt,
                                 .messages = std::nullopt,
                                 .licences = licences_of(reader),
                                 .quantise = {},
                                 .quantiser = {}};
    if (const json::object* parameters = reader.object("parameters"); parameters != nullptr) {
        request.parameters = json::serialize(*parameters);
    }
    if (const json::array* messages = reader.array("messages"); messages != nullptr) {
        request.messages = json::serialize(*messages);
    }
    if (reader.any("modelfile") != nullptr) {
        reader.complain("modelfile", "is not understood; send its fields, as newer clients do");
    }
    request.quantise = text_of(reader, "quantize").value_or("");
    if (request.quantise.empty()) {
        request.quantise = text_of(reader, "quantization").value_or("");
    }
    return request;
}

}  // namespace

Task<> Session::answer_library(const Route& route) {
    const auto fields = fields_reader_.finish();
    if (!fields.ok()) {
        co_return co_await reply(error_reply(route.dialect, fields.error()));
    }
    const json::object request = document_.take();
    std::optional<Error> problem;
    const FieldReader reader(request, problem);
    std::string model = text_of(reader, "model").value_or("");
    if (model.empty()) {
        model = text_of(reader, "name").value_or("");
    }
    const bool copies = route.action == Action::ollama_copy;
    if (model.empty() && !copies) {
        reader.complain("model", "is required");
    }
    store::CreateRequest creation;
    if (route.action == Action::ollama_create) {
        creation = create_request(reader, model);
    }
    const bool streams = reader.flag("stream").value_or(true);
    const bool insecure = reader.flag("insecure").value_or(false);
    std::string source = text_of(reader, "source").value_or("");
    std::string destination = text_of(reader, "destination").value_or("");
    if (problem.has_value()) {
        co_return co_await reply(error_reply(route.dialect, *problem));
    }
    store::Library& library = context_.library;
    Work work;
    if (route.action == Action::ollama_pull) {
        work = [&library, model, insecure](store::OnProgress tell, store::StopFlag stop) {
            return library.pull(model, insecure, std::move(tell), std::move(stop));
        };
    } else if (route.action == Action::ollama_create) {
        work = [&library, creation](store::OnProgress tell, store::StopFlag stop) {
            return library.create(creation, std::move(tell), std::move(stop));
        };
    } else if (copies) {
        work = [&library, source, destination](store::OnProgress, store::StopFlag) {
            return library.copy(source, destination);
        };
    } else if (route.action == Action::ollama_delete) {
        work = [&library, model](store::OnProgress, store::StopFlag) {
            return library.remove(model);
        };
    } else {
        work = [&library, model, insecure](store::OnProgress tell, store::StopFlag stop) {
            return library.push(model, insecure, std::move(tell), std::move(stop));
        };
    }
    const bool tells = !copies && route.action != Action::ollama_delete;
    co_await do_work(std::move(work), tells, tells && streams);
}

Task<> Session::do_work(Work work, bool tells, bool streams) {
    client_.watch();
    stop_work_ = std::make_shared<std::atomic<bool>>(false);
    const platform::Executor executor = co_await asio::this_coro::executor;
    const auto shared = std::make_shared<ProgressLines>(executor.context());
    auto run = [shared, work = std::move(work), stop = stop_work_]() -> Task<> {
        store::OnProgress tell = [shared](const store::Progress& progress) {
            shared->add(line_of(progress));
        };
        Status outcome = co_await work(std::move(tell), stop);
        shared->outcome = std::move(outcome);
        shared->changed.notify_all();
    };
    asio::co_spawn(executor, std::move(run), [shared](const std::exception_ptr& failure) {
        if (failure != nullptr) {
            shared->outcome = Status(Error{ErrorCode::internal, "the work ended unexpectedly"});
            shared->changed.notify_all();
        }
    });
    bool begun = false;
    while (!shared->outcome.has_value() && !client_.gone()) {
        if (streams && !shared->lines.empty()) {
            co_await send_lines(std::exchange(shared->lines, {}), std::exchange(begun, true));
        } else {
            shared->lines.clear();
            co_await shared->changed.wait();
        }
    }
    stop_work_->store(true);
    if (client_.gone()) {
        co_return;
    }
    const Status& outcome = *shared->outcome;
    if (!streams || (!begun && !outcome.ok())) {
        if (!outcome.ok()) {
            co_return co_await reply(error_reply(Dialect::ollama, outcome.error()));
        }
        Reply answer{.body = tells ? R"({"status":"success"})" : ""};
        co_return co_await reply(std::move(answer));
    }
    if (!outcome.ok()) {
        shared->add({{"error", valid_utf8(outcome.error().message)}});
    }
    co_await send_lines(std::exchange(shared->lines, {}), begun);
    co_await finish_lines();
}

Task<> Session::send_lines(std::deque<std::string> lines, bool begun) {
    reply_head_.clear();
    if (!begun) {
        status_ = 200;
        keep_alive_ = keep_alive_ && !draining_ && head_.http11;
        reply_head_ = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n";
        reply_head_ += head_.http11 ? "Transfer-Encoding: chunked\r\n" : "";
        reply_head_ += keep_alive_ ? "\r\n" : "Connection: close\r\n\r\n";
    }
    for (const std::string& line : lines) {
        reply_head_ += head_.http11 ? chunk_of(line) : line;
    }
    reply_pieces_.assign(1, reply_head_);
    if (!client_.send(reply_pieces_)) {
        co_await client_.flush();
    }
}

Task<> Session::finish_lines() {
    if (head_.http11) {
        reply_pieces_.assign(1, "0\r\n\r\n");
        if (!client_.send(reply_pieces_)) {
            co_await client_.flush();
        }
    }
}

}  // namespace drover::gateway
