// A bounded pool of threads for work that blocks or takes long: values in, values out.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "platform/async.hpp"

namespace drover::platform {

/// Joined at destruction, which must come before that of the loop. run() is called on the loop.
class BlockingPool {
  public:
    explicit BlockingPool(std::size_t threads) : pool_(threads) {}
    ~BlockingPool() { pool_.join(); }
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    /// Calls `work()` on a thread of the pool and resumes on the loop with the value that it
    /// returns; what it throws, this throws. `work` must own everything it touches. A caller that
    /// is cancelled meanwhile resumes when the work is done. See async.hpp on lambdas within
    /// co_await.
    template <typename Work>
    Task<std::invoke_result_t<Work>> run(Work work) {
        const auto job = std::make_shared<Job<Work>>(std::move(work));
        std::function<void()> perform = [job] {
            job->perform();
        };
        co_await call(std::move(perform));
        if (job->failure != nullptr) {
            std::rethrow_exception(job->failure);
        }
        co_return *std::move(job->value);
    }

    /// Calls `work()` on a thread of the pool sometime; nobody waits for it.
    template <typename Work>
    void post(Work work) {
        asio::post(pool_, std::move(work));
    }

  private:
    template <typename Work>
    struct Job {
        explicit Job(Work one) : work(std::move(one)) {}

        void perform() {
            try {
                value.emplace(work());
            } catch (...) {
                failure = std::current_exception();
            }
        }

        Work work;
        std::optional<std::invoke_result_t<Work>> value{};
        std::exception_ptr failure{};
    };

    /// run() of what throws nothing. For all works alike: each would take long to compile.
    Task<> call(std::function<void()> work);

    asio::thread_pool pool_;
};

}  // namespace drover::platform
