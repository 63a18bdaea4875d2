#include "engines/child_environment.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace drover::engines {

std::vector<std::string> child_environment(const std::vector<std::string>& parent) {
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
        if (named || prefixed) {
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
