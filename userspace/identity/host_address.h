// SPDX-License-Identifier: Apache-2.0
// The addresses of a host, within a given time: the C library's own look-up may take half a minute and cannot be
// stopped.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "util/result.h"

namespace memcrest {

struct HostAddress {
  sockaddr_storage address{};
  socklen_t size = 0;
  int family = AF_UNSPEC;
};

// In the order in which they should be tried; at most eight. A literal address costs nothing. Names come from
// /etc/hosts and DNS only: a static program cannot load the other modules that /etc/nsswitch.conf may name. Errors:
// ETIMEDOUT, ECANCELED, ENOENT unknown name, EAGAIN the name server does not answer.
[[nodiscard]] Result<std::vector<HostAddress>> find_host(const std::string& host, std::uint16_t port,
                                                         std::chrono::steady_clock::time_point deadline,
                                                         const std::stop_token& stop);

}  // namespace memcrest
