// SPDX-License-Identifier: Apache-2.0
// Where a server listens: "127.0.0.1:9464", "[::1]:9464", "unix:/run/x.sock".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

struct ListenAddress {
  std::string unix_path;   // empty: TCP
  std::string host;        // a literal address
  std::uint16_t port = 0;  // 0: any
  bool v6 = false;
  bool local = true;  // nobody beyond this host reaches it
};

[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);
// A socket that listens. A unix socket is for its owner and group; one that nobody listens on any more is replaced.
[[nodiscard]] Result<Fd> listen_on(const ListenAddress& address);
// Whether a Host header is an address or "localhost": a page of somebody's own name that was made to point here is not.
[[nodiscard]] bool is_plain_host(std::string_view host);

}  // namespace memcrest
