#include "platform/cpu_features.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace drover::platform {

#if defined(__x86_64__)

ProcessorFeatures processor_features() {
    __builtin_cpu_init();
    ProcessorFeatures features;
    features.avx2 = __builtin_cpu_supports("avx2") != 0;
    features.avx512 = __builtin_cpu_supports("avx512f") != 0;
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    constexpr unsigned kExtendedFeatures = 7;
    constexpr unsigned kAmxInt8Bit = 25;
    if (__get_cpuid_count(kExtendedFeatures, 0, &a, &b, &c, &d) != 0) {
        features.amx_int8 = ((d >> kAmxInt8Bit) & 1U) != 0;
    }
    return features;
}

#elif defined(__aarch64__) && defined(__linux__)

ProcessorFeatures processor_features() {
    ProcessorFeatures features;
    features.neon_dotprod = (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    features.neon_i8mm = (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
    return features;
}

#else

ProcessorFeatures processor_features() {
    return {};
}

#endif

unsigned processor_count() {
    return std::max(std::thread::hardware_concurrency(), 1U);
}

unsigned core_count() {
    std::set<std::string> cores;  // each by the processors that it carries
    for (unsigned processor = 0;; ++processor) {
        std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(processor) +
                           "/topology/thread_siblings_list");
        std::string siblings;
        if (!std::getline(file, siblings)) {
            break;
        }
        cores.insert(siblings);
    }
    const unsigned processors = processor_count();
    return cores.empty() ? processors : std::min(static_cast<unsigned>(cores.size()), processors);
}

}  // namespace drover::platform
