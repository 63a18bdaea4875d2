#include "app/model_library.hpp"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>

#include "platform/paths.hpp"
#include "store/options.hpp"

namespace drover::app {

using platform::Task;

namespace {

/// Pulls at once; more wait for one to end.
constexpr std::size_t kThreads = 8;

/// Hands what a thread tells to the loop, as long as the work has not ended there.
class Courier {
  public:
    Courier(platform::Loop& loop, store::OnProgress on_progress)
        : loop_(loop), on_progress_(std::make_shared<store::OnProgress>(std::move(on_progress))) {}
    Courier(const Courier&) = delete;
    Courier& operator=(const Courier&) = delete;
    ~Courier() {
        *on_progress_ = [](const store::Progress&) {
        };
    }

    store::OnProgress sender() const {
        return [loop = &loop_, on_progress = on_progress_](const store::Progress& progress) {
            boost::asio::post(*loop, [on_progress, progress] { (*on_progress)(progress); });
        };
    }

  private:
    platform::Loop& loop_;
    std::shared_ptr<store::OnProgress> on_progress_;
};

store::Stopped either(store::StopFlag one, store::StopFlag other) {
    return [one = std::move(one), other = std::move(other)] {
        return one->load() || other->load();
    };
}

/// What clients that know Ollama look for.
Error not_found(const std::string& model) {
    return {ErrorCode::not_found, "model '" + model + "' not found"};
}

}  // namespace

ModelLibrary::ModelLibrary(platform::Loop& loop, const config::Config& config, ModelWatch& watch)
    : loop_(loop),
      watch_(watch),
      store_(config.store.dir),
      options_(store::pull_options(config.store, platform::process_environment())),
      pool_(kThreads) {}

Task<Status> ModelLibrary::pull(std::string reference,
                                bool insecure,
                                store::OnProgress on_progress,
                                store::StopFlag stop) {
    auto parsed = store::parse_reference(reference);
    if (!parsed.ok()) {
        co_return parsed.error();
    }
    if (parsed->kind == store::ReferenceKind::file) {
        co_return Error{
            ErrorCode::invalid_argument,
            "a file is pulled by `drover pull` on the server's machine, not by its API"};
    }
    const Courier courier(loop_, std::move(on_progress));
    store::PullOptions options = options_;
    options.insecure = insecure;
    auto work = [store = store_,
                 what = std::move(*parsed),
                 options = std::move(options),
                 tell = courier.sender(),
                 stopped = either(std::move(stop), stopping_)] {
        const auto pulled = store::pull(store, what, options, tell, stopped);
        return pulled.ok() ? Status() : Status(pulled.error());
    };
    Status done = co_await pool_.run(std::move(work));
    if (done.ok()) {
        co_await watch_.refresh();
    }
    co_return done;
}

Task<Status> ModelLibrary::create(store::CreateRequest request,
                                  store::OnProgress on_progress,
                                  store::StopFlag stop) {
    std::optional<store::CreateBase> base;
    if (const models::Model* from = watch_.registry().find(request.from);
        from != nullptr && !from->broken.has_value()) {
        base.emplace(store::CreateBase{from->files, from->projector, from->recipe});
    }
    const Courier courier(loop_, std::move(on_progress));
    auto work = [store = store_,
                 request = std::move(request),
                 base = std::move(base),
                 tell = courier.sender(),
                 stopped = either(std::move(stop), stopping_)] {
        return store::create(store, request, base, tell, stopped);
    };
    Status done = co_await pool_.run(std::move(work));
    if (done.ok()) {
        co_await watch_.refresh();
    }
    co_return done;
}

Task<Status> ModelLibrary::copy(std::string from, std::string to) {
    const auto source = store::parse_model_name(from);
    const auto target = store::parse_model_name(to);
    if (!target.ok()) {
        co_return target.error();
    }
    if (!source.ok()) {
        co_return not_found(from);
    }
    const auto known = store_.find(*source);
    if (!known.ok()) {
        // A model of another place: its copy is one of the store.
        store::CreateRequest request{.model = std::move(to), .from = std::move(from)};
        auto nobody = [](const store::Progress&) {
        };
        co_return co_await create(
            std::move(request), std::move(nobody), std::make_shared<std::atomic<bool>>(false));
    }
    Status done = store_.copy(*source, *target);
    if (done.ok()) {
        co_await watch_.refresh();
    }
    co_return done;
}

Task<Status> ModelLibrary::remove(std::string model) {
    const auto name = store::parse_model_name(model);
    const auto entry = name.ok() ? store_.find(*name) : Result<store::Entry>(not_found(model));
    if (!entry.ok()) {
        const models::Model* found = watch_.registry().find(model);
        if (found == nullptr) {
            co_return not_found(model);
        }
        const std::string place =
            found->files.empty() ? "in the configuration" : "at " + found->files.front().string();
        co_return Error{ErrorCode::invalid_argument,
                        "model '" + model + "' is not of Drover's store, but " + place +
                            ": remove it where it came from"};
    }
    const auto freed = store_.remove(*name);
    if (!freed.ok()) {
        co_return freed.error();
    }
    co_await watch_.refresh();
    co_return Status();
}

Result<bool> ModelLibrary::has_blob(const std::string& text) const {
    const auto digest = store::Digest::parse(text);
    if (!digest.ok()) {
        return digest.error();
    }
    std::error_code error;
    return std::filesystem::is_regular_file(store_.blob(*digest), error);
}

Task<Status> ModelLibrary::put_blob(std::string text, std::string content) {
    auto digest = store::Digest::parse(text);
    if (!digest.ok()) {
        co_return digest.error();
    }
    auto work = [store = store_, digest = std::move(*digest), content = std::move(content)] {
        if (store::digest_of(content) != digest) {
            return Status(
                Error{ErrorCode::invalid_argument, "digest mismatch: the body has another one"});
        }
        const auto writing = store.writing();
        if (!writing.ok()) {
            return Status(writing.error());
        }
        const auto layer = store.put_blob("", content);
        return layer.ok() ? Status() : Status(layer.error());
    };
    co_return co_await pool_.run(std::move(work));
}

}  // namespace drover::app
