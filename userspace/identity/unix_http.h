// SPDX-License-Identifier: Apache-2.0
// HTTP GET over a unix socket with one deadline for the whole request, for peers that are not trusted to be alive,
// honest or small. A library client was measured first: cpp-httplib 0.11 took 450 MB in two seconds of endless headers,
// and links TLS and compression that a unix socket does not need.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "identity/http_answer.h"
#include "util/result.h"

namespace memcrest {

class UnixHttp {
 public:
  explicit UnixHttp(std::string socket_path, HttpLimits limits = {});

  // `target` is sent as it is: path and query, already encoded. No redirect is followed. Never takes longer than
  // `timeout`; ends soon after `stop` is asked for. The error's code tells the kinds apart: ENOENT no socket, EACCES,
  // ECONNREFUSED nobody listens, ETIMEDOUT, EPROTO not HTTP, EMSGSIZE too large, ECANCELED stopped. Thread-safe.
  [[nodiscard]] Result<HttpAnswer> get(const std::string& target, std::chrono::milliseconds timeout,
                                       const std::stop_token& stop = {}) const;

  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }

 private:
  std::string socket_path_;
  HttpLimits limits_;
};

}  // namespace memcrest
