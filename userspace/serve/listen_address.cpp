// SPDX-License-Identifier: Apache-2.0
#include "serve/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>

namespace memcrest {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr int kBacklog = 128;

std::unexpected<Error> no_address(std::string_view text) {
  return fail("listen on", std::string(text), EINVAL,
              "must be ADDRESS:PORT, [ADDRESS]:PORT with a literal address, or unix:/PATH");
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path, path.c_str(), path.size());
  return out;
}

Result<Fd> listen_unix(const std::string& path) {
  const sockaddr_un address = unix_address(path);
  const auto* plain = reinterpret_cast<const sockaddr*>(&address);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) {
    return fail_errno("listen on", path);
  }
  struct stat about{};
  if (::lstat(path.c_str(), &about) == 0) {
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!S_ISSOCK(about.st_mode) || ::connect(probe.get(), plain, sizeof(address)) == 0 || errno != ECONNREFUSED) {
      return fail("listen on", path, EADDRINUSE);
    }
    ::unlink(path.c_str());
  }
  const mode_t before = ::umask(S_IRWXO | S_IXUSR | S_IXGRP);
  const int bound = ::bind(fd.get(), plain, sizeof(address));
  const int code = errno;
  ::umask(before);
  if (bound != 0) {
    return fail("listen on", path, code);
  }
  if (::listen(fd.get(), kBacklog) != 0) {
    return fail_errno("listen on", path);
  }
  return fd;
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  ListenAddress out;
  if (text.starts_with(kUnix)) {
    out.unix_path = text.substr(kUnix.size());
    const bool fits = out.unix_path.size() < sizeof(sockaddr_un{}.sun_path);
    return out.unix_path.starts_with('/') && fits && out.unix_path.find('\0') == std::string::npos
               ? Result<ListenAddress>(std::move(out))
               : no_address(text);
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return no_address(text);
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto read = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || read.ec != std::errc{} || read.ptr != port.data() + port.size()) {
    return no_address(text);
  }
  out.v6 = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  out.host = out.v6 ? host.substr(1, host.size() - 2) : host;
  in_addr v4{};
  in6_addr v6{};
  if (out.v6 ? ::inet_pton(AF_INET6, out.host.c_str(), &v6) != 1 : ::inet_pton(AF_INET, out.host.c_str(), &v4) != 1) {
    return no_address(text);
  }
  out.local = out.v6 ? IN6_IS_ADDR_LOOPBACK(&v6) : (ntohl(v4.s_addr) >> 24U) == 127;
  return out;
}

Result<Fd> listen_on(const ListenAddress& address) {
  if (!address.unix_path.empty()) {
    return listen_unix(address.unix_path);
  }
  const std::string name = address.host + ":" + std::to_string(address.port);
  Fd fd(::socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) {
    return fail_errno("listen on", name);
  }
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  ::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr);
  ::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr);
  const int bound = address.v6 ? ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof(v6))
                               : ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
  if (bound != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return fail_errno("listen on", name);
  }
  return fd;
}

bool is_plain_host(std::string_view host) {
  if (host.starts_with('[')) {
    return true;
  }
  const std::string name(host.substr(0, host.find(':')));
  in_addr v4{};
  return name == "localhost" || ::inet_pton(AF_INET, name.c_str(), &v4) == 1;
}

}  // namespace memcrest
