#include "app/model_library.hpp"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>

#include "app/wiring.hpp"
#include "platform/paths.hpp"
#include "store/incoming_blob.hpp"
#include "store/options.hpp"
#include "store/push.hpp"

namespace drover::app {

using platform::Task;

namespace {

/// Pulls at once; more wait for one to end.
constexpr std::size_t kThreads = 8;
/// Uploads write a piece at a time, so a few threads do for many of them.
constexpr std::size_t kWriters = 2;

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

/// An upload whose work is done by the threads of a pool.
class PooledUpload final : public store::BlobReceiver {
  public:
    PooledUpload(platform::BlockingPool& pool, std::shared_ptr<store::IncomingBlob> upload)
        : pool_(pool), upload_(std::move(upload)) {}
    PooledUpload(const PooledUpload&) = delete;
    PooledUpload& operator=(const PooledUpload&) = delete;
    ~PooledUpload() override {
        // To remove a large file takes long, too.
        pool_.post([upload = std::move(upload_)]() mutable { upload.reset(); });
    }

    Task<Status> write(std::string piece) override {
        auto work = [upload = upload_, piece = std::move(piece)] {
            return upload->write(piece);
        };
        co_return co_await pool_.run(std::move(work));
    }

    Task<Status> finish() override {
        auto work = [upload = upload_] {
            return upload->finish();
        };
        co_return co_await pool_.run(std::move(work));
    }

  private:
    platform::BlockingPool& pool_;
    std::shared_ptr<store::IncomingBlob> upload_;
};

/// llama.cpp's own program, which lies beside its server; empty: it does not. Blocks.
std::filesystem::path find_quantiser(const config::Config& config) {
    const auto engine = locate_engine(config);
    std::error_code error;
    const std::filesystem::path program =
        engine.ok() ? engine->llama_server.parent_path() / "llama-quantize" : "";
    return std::filesystem::is_regular_file(program, error) ? program : std::filesystem::path();
}

/// What clients that know Ollama look for.
Error not_found(const std::string& model) {
    return {ErrorCode::not_found, "model '" + model + "' not found"};
}

/// The same of what is to be copied, which Ollama puts into other quotes.
Error no_source(const std::string& model) {
    return {ErrorCode::not_found, "model \"" + model + "\" not found"};
}

}  // namespace

ModelLibrary::ModelLibrary(platform::Loop& loop, const config::Config& config, ModelWatch& watch)
    : loop_(loop),
      config_(config),
      watch_(watch),
      store_(config.store.dir),
      options_(store::pull_options(config.store, platform::process_environment())),
      pool_(kThreads),
      writers_(kWriters) {}

Task<RemoteModels> ModelLibrary::look_at(std::vector<std::string> references) {
    auto work = [references = std::move(references), options = options_, stop = stopping_] {
        return app::look_at(references, options, [stop] { return stop->load(); });
    };
    co_return co_await writers_.run(std::move(work));
}

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

Task<Status> ModelLibrary::push(std::string reference,
                                bool insecure,
                                store::OnProgress on_progress,
                                store::StopFlag stop) {
    auto target = store::parse_reference(reference);
    if (!target.ok()) {
        co_return target.error();
    }
    if (const auto known = store_.find(target->name); !known.ok()) {
        if (watch_.registry().find(reference) == nullptr) {
            co_return not_found(reference);
        }
        co_return Error{ErrorCode::invalid_argument,
                        "model '" + reference +
                            "' is not of Drover's store; copy it first, then push the copy"};
    }
    const Courier courier(loop_, std::move(on_progress));
    store::PullOptions options = options_;
    options.insecure = insecure;
    auto work = [store = store_,
                 target = std::move(*target),
                 options = std::move(options),
                 tell = courier.sender(),
                 stopped = either(std::move(stop), stopping_)] {
        return store::push(store, target.name, target, options, tell, stopped);
    };
    co_return co_await pool_.run(std::move(work));
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
    auto work = [this,
                 store = store_,
                 request = std::move(request),
                 base = std::move(base),
                 tell = courier.sender(),
                 stopped = either(std::move(stop), stopping_)]() mutable {
        request.quantiser = request.quantise.empty() ? "" : find_quantiser(config_);
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
        co_return no_source(from);
    }
    const auto known = store_.find(*source);
    if (!known.ok()) {
        if (watch_.registry().find(from) == nullptr) {
            co_return no_source(from);
        }
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

Task<Result<std::unique_ptr<store::BlobReceiver>>> ModelLibrary::receive_blob(
    std::string text, std::optional<Bytes> size) {
    using Receiver = std::unique_ptr<store::BlobReceiver>;
    auto digest = store::Digest::parse(text);
    if (!digest.ok()) {
        co_return digest.error();
    }
    auto work = [store = store_, digest = std::move(*digest), size] {
        return store::IncomingBlob::begin(store, digest, size);
    };
    auto upload = co_await writers_.run(std::move(work));
    if (!upload.ok()) {
        co_return upload.error();
    }
    co_return Receiver(std::make_unique<PooledUpload>(writers_, *std::move(upload)));
}

}  // namespace drover::app
