// SPDX-License-Identifier: Apache-2.0
// TLS in front of the HTTP server: takes connections from a listening socket, shakes hands by OpenSSL, and hands the
// plain side of each to whoever serves it. One thread per connection, few of them.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>

#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

struct TlsLimits {
  unsigned connections = 128;  // a thread each
  unsigned per_address = 64;   // of them, handshakes that hang included: who has one address locks nobody else out
};

class TlsFront {
 public:
  // Takes over `plain`; `peer` is that of the connection.
  using Serve = std::function<void(Fd plain, const sockaddr_storage& peer, socklen_t size)>;

  [[nodiscard]] static Result<std::unique_ptr<TlsFront>> start(Fd listener, const std::string& certificate,
                                                               const std::string& key, const TlsLimits& limits,
                                                               Serve serve);
  ~TlsFront();  // ends all connections
  TlsFront(const TlsFront&) = delete;
  TlsFront& operator=(const TlsFront&) = delete;

 private:
  struct State;
  explicit TlsFront(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace memcrest
