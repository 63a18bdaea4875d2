#include "engines/child_environment.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace drover::engines {

namespace {

/// What a download from the hub goes by: where from, by which proxy, as whom, and where to.
constexpr std::array<std::string_view, 12> kDownload{"ALL_PROXY",
                                                     "HF_TOKEN",
                                                     "HF_ENDPOINT",
                                                     "HF_HOME",
                                                     "HF_HUB_CACHE",
                                                     "HTTPS_PROXY",
                                                     "HTTP_PROXY",
                                                     "NO_PROXY",
                                                     "REQUESTS_CA_BUNDLE",
                                                     "SSL_CERT_DIR",
                                                     "SSL_CERT_FILE",
                                                     "XDG_CACHE_HOME"};

bool is_for_download(const std::string& name) {
    return std::any_of(kDownload.begin(), kDownload.end(), [&name](std::string_view one) {
        return equals_ignoring_case(one, name);  // curl and Python read proxies in small letters
    });
}

}  // namespace

std::vector<std::string> child_environment(const std::vector<std::string>& parent, bool fetches) {
    constexpr std::array<std::string_view, 8> kNames{
        "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER"};
    constexpr std::array<std::string_view, 9> kPrefixes{
        "CUDA_", "GGML_CUDA_", "GGML_VK_", "HIP_", "HSA_", "NVIDIA_", "OMP_", "ROCR_", "VK_"};
    std::vector<std::string> environment;
    for (const std::string& entry : parent) {
        const std::string name = entry.substr(0, entry.find('='));
        const bool named = std::find(kNames.begin(), kNames.end(), name) != kNames.end();
        const bool prefixed = std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](auto prefix) {
            return name.compare(0, prefix.size(), prefix) == 0;
        });
        if (named || prefixed || (fetches && is_for_download(name))) {
            environment.push_back(entry);
        }
    }
    return environment;
}

void set_variable(std::vector<std::string>& environment, std::string entry) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(environment, [&name](const std::string& one) { return one.starts_with(name); });
    environment.push_back(std::move(entry));
}

}  // namespace drover::engines
