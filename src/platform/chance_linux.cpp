#include <array>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.hpp"
#include "platform/chance.hpp"

namespace drover::platform {

std::string random_key() {
    std::array<unsigned char, 32> bytes{};
    // So few bytes come whole, once the kernel has any.
    const ssize_t count = ::getrandom(bytes.data(), bytes.size(), 0);
    DROVER_ASSERT(count == static_cast<ssize_t>(bytes.size()));
    constexpr char kDigits[] = "0123456789abcdef";
    std::string key;
    for (const unsigned char byte : bytes) {
        key += kDigits[byte >> 4];
        key += kDigits[byte & 15];
    }
    return key;
}

Result<std::uint16_t> free_port() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool bound =
        fd >= 0 && ::bind(fd, generic, length) == 0 && ::getsockname(fd, generic, &length) == 0;
    const int number = errno;
    ::close(fd);
    if (!bound) {
        return Error{ErrorCode::io_error,
                     "no free port: " + std::generic_category().message(number)};
    }
    return ntohs(address.sin_port);
}

}  // namespace drover::platform
