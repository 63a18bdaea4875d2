// Notices that something in folders has changed. On the loop only.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "platform/async.hpp"

namespace drover::platform {

/// Watches whole trees. What it cannot watch (too many folders, file systems of other machines) it
/// does not notice: whoever must know looks for himself now and then.
class FolderWatch {
  public:
    explicit FolderWatch(Loop& loop);

    /// Watches these folders and all below them, instead of the earlier ones. One that does not
    /// exist is noticed when it is made.
    void watch(const std::vector<std::filesystem::path>& folders);

    /// Returns soon after something was made, written, renamed or removed, when it has been quiet
    /// for a moment; or after `longest`.
    Task<> changed(std::chrono::milliseconds longest);

  private:
    using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

    bool add(const std::filesystem::path& folder, const std::string& only);
    void add_tree(const std::filesystem::path& folder);
    void add_parent(const std::filesystem::path& missing);
    /// Reads what there is; true when any of it matters.
    bool take_events();

    Loop& loop_;
    Descriptor descriptor_;
    std::map<int, std::set<std::string>> only_;  ///< by watch: the names that matter, "" is any
};

}  // namespace drover::platform
