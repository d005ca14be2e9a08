// SPDX-License-Identifier: Apache-2.0
// One GET of the Kubernetes API, its body read while it arrives. HTTP/1.0 for the reasons of adr/0006. The token is
// read for each request, sent over TLS only, and stands in no error.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "identity/http_answer.h"
#include "identity/tls_connection.h"

namespace memcrest {

// Without its line end; what could not stand in a header is an error.
[[nodiscard]] Result<std::string> read_kubernetes_token(const std::string& path);

class KubernetesExchange {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Connects, asks and waits for the answer's head. `target` follows the endpoint's base path, encoded. Errors as for
  // TlsConnection::open and UnixHttp::get, and those of reading the token. `stop` must outlive the exchange.
  [[nodiscard]] static Result<KubernetesExchange> start(const KubernetesEndpoint& endpoint, const std::string& target,
                                                        TimePoint deadline, const StopEvent& stop);

  [[nodiscard]] int status() const { return reader_.status(); }
  // More of the body, valid until the next call; nothing: that was all. A peer that sends more than a busy node's pods
  // could be is slowed down.
  [[nodiscard]] Result<std::string_view> read(TimePoint deadline);

 private:
  KubernetesExchange(TlsConnection connection, const StopEvent& stop);
  Result<bool> receive(TimePoint deadline);
  Result<void> pace(std::size_t bytes, TimePoint deadline);

  TlsConnection connection_;
  const StopEvent* stop_;
  HttpAnswerReader reader_;
  bool complete_ = false;
  std::string body_;
  double credit_;  // bytes
  TimePoint credited_;
};

// What is left of the body, cut at `limit` bytes: for the few words of a refusal.
[[nodiscard]] std::string read_rest(KubernetesExchange& exchange, std::size_t limit,
                                    KubernetesExchange::TimePoint deadline);

}  // namespace memcrest
