// SPDX-License-Identifier: Apache-2.0
// HTTP GET over a unix socket, for peers that are not trusted to be alive, honest or small: one deadline for the whole
// request, or, where the answer has no end, for its head. A library client was measured first: cpp-httplib 0.11 took
// 450 MB in two seconds of endless headers, and links TLS and compression that a unix socket does not need.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "identity/http_answer.h"
#include "util/result.h"

namespace memcrest {

class UnixHttp {
 public:
  // With an `owner`, only a peer that is this user's is talked to: who else's is refused with EACCES.
  explicit UnixHttp(std::string socket_path, HttpLimits limits = {}, std::optional<uid_t> owner = std::nullopt);

  // `target` is sent as it is: path and query, already encoded. No redirect is followed. Never takes longer than
  // `timeout`; ends soon after `stop` is asked for. The error's code tells the kinds apart: ENOENT no socket, EACCES,
  // ECONNREFUSED nobody listens, ETIMEDOUT, EPROTO not HTTP, EMSGSIZE too large, ECANCELED stopped. Thread-safe.
  [[nodiscard]] Result<HttpAnswer> get(const std::string& target, std::chrono::milliseconds timeout,
                                       const std::stop_token& stop = {}) const;

  // As get, for an answer that goes on: `take` is given its body as it comes, at first nothing, once the head of an
  // answer 200 is there. Only until then there is a deadline. Returns when the peer closes (200, no body), with the
  // error that `take` returns, or, with any other status, what get() would. Keeps nothing of the body.
  using Take = std::function<Result<void>(std::string_view bytes)>;
  [[nodiscard]] Result<HttpAnswer> follow(const std::string& target, std::chrono::milliseconds head_timeout,
                                          const Take& take, const std::stop_token& stop = {}) const;

  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }

 private:
  std::string socket_path_;
  HttpLimits limits_;
  std::optional<uid_t> owner_;
};

}  // namespace memcrest
