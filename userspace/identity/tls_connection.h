// SPDX-License-Identifier: Apache-2.0
// A byte stream to the Kubernetes API: TCP, and TLS by OpenSSL, which trusts the configured CA and nobody else. Every
// call has a deadline and ends at once when a stop is asked for. One thread; it must have SIGPIPE blocked or ignored,
// since OpenSSL writes to the socket as to a file.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>

#include "identity/kubernetes_settings.h"
#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

// Makes a stop visible to poll(). Neither copied nor moved: the callback points here.
class StopEvent {
 public:
  explicit StopEvent(const std::stop_token& stop);
  StopEvent(const StopEvent&) = delete;
  StopEvent& operator=(const StopEvent&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }  // readable once the stop was asked for
  [[nodiscard]] const std::stop_token& token() const { return token_; }
  // Sleeps; false: stopped.
  [[nodiscard]] bool sleep_until(std::chrono::steady_clock::time_point time) const;

 private:
  struct Wake {
    int fd;
    void operator()() const;
  };

  std::stop_token token_;
  Fd fd_;
  std::stop_callback<Wake> callback_;
};

class TlsConnection {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Connects and, for an endpoint with TLS, shakes hands. Errors: ETIMEDOUT, ECANCELED, ECONNREFUSED and the like, the
  // find_host ones, EKEYREJECTED for a certificate that is not the server's or not the CA's, EPROTO for other TLS
  // failures, ENOKEY for a CA file that holds none, or an own certificate or key that cannot be used. `stop` must
  // outlive the connection.
  [[nodiscard]] static Result<TlsConnection> open(const KubernetesEndpoint& endpoint, TimePoint deadline,
                                                  const StopEvent& stop);
  TlsConnection(TlsConnection&&) noexcept;
  TlsConnection& operator=(TlsConnection&&) noexcept;
  ~TlsConnection();

  [[nodiscard]] Result<void> send(std::string_view bytes, TimePoint deadline);
  // At least one byte, valid until the next call; none: the peer closed.
  [[nodiscard]] Result<std::string_view> receive(TimePoint deadline);

 private:
  struct Tls;

  TlsConnection(const KubernetesEndpoint& endpoint, const StopEvent& stop);

  Result<void> connect(const KubernetesEndpoint& endpoint, TimePoint deadline);
  Result<void> shake_hands(const KubernetesEndpoint& endpoint, TimePoint deadline);
  [[nodiscard]] Result<void> wait_for(short events, TimePoint deadline) const;
  [[nodiscard]] Result<std::size_t> read_some(TimePoint deadline);
  [[nodiscard]] Result<std::size_t> write_some(std::string_view bytes, TimePoint deadline);
  template <typename Step>
  Result<std::size_t> drive(Step step, TimePoint deadline);
  [[nodiscard]] std::unexpected<Error> tls_failure(const char* operation) const;

  static constexpr std::size_t kBufferBytes = std::size_t{16} << 10U;

  std::string peer_;
  const StopEvent* stop_;
  Fd fd_;
  std::unique_ptr<Tls> tls_;  // null: plain
  std::unique_ptr<std::array<char, kBufferBytes>> buffer_;
};

}  // namespace memcrest
