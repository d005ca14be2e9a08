// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_exchange.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace memcrest {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kMaxTokenBytes = std::size_t{16} << 10U;
constexpr HttpLimits kLimits{.body_bytes = std::size_t{256} << 20U};
// A list of 110 large pods is some 10 MB; a node with all of them changing each second, some MB in a second.
constexpr double kBurstBytes = 64.0 * (1U << 20U);
constexpr double kBytesPerSecond = 4.0 * (1U << 20U);

}  // namespace

Result<std::string> read_kubernetes_token(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) {
    return fail_errno("read the token in", path);
  }
  if (!S_ISREG(about.st_mode)) {
    return fail("read the token in", path, EINVAL, "not a file");
  }
  auto token = read_file(path, kMaxTokenBytes);
  if (!token) {
    return token;
  }
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r' || token->back() == ' ')) {
    token->pop_back();
  }
  // It goes into a header: nothing may end that.
  if (token->empty() || !std::ranges::all_of(*token, [](char c) { return c > ' ' && c < '\x7f'; })) {
    return fail("read the token in", path, EINVAL, token->empty() ? "it is empty" : "not a token");
  }
  return token;
}

KubernetesExchange::KubernetesExchange(TlsConnection connection, const StopEvent& stop)
    : connection_(std::move(connection)),
      stop_(&stop),
      reader_(kLimits),
      credit_(kBurstBytes),
      credited_(SteadyClock::now()) {}

Result<KubernetesExchange> KubernetesExchange::start(const KubernetesEndpoint& endpoint, const std::string& target,
                                                     TimePoint deadline, const StopEvent& stop) {
  std::string request = "GET " + endpoint.base_path + target + " HTTP/1.0\r\nHost: " + endpoint.authority() +
                        "\r\nUser-Agent: memcrest/" MEMCREST_VERSION "\r\nAccept: application/json\r\n";
  if (endpoint.tls && !endpoint.token_file.empty()) {
    const auto token = read_kubernetes_token(endpoint.token_file);
    if (!token) {
      return std::unexpected(token.error());
    }
    request += "Authorization: Bearer " + *token + "\r\n";
  }
  request += "\r\n";
  auto connection = TlsConnection::open(endpoint, deadline, stop);
  if (!connection) {
    return std::unexpected(connection.error());
  }
  const auto sent = connection->send(request, deadline);
  if (!sent) {
    return std::unexpected(sent.error());
  }
  KubernetesExchange out(std::move(*connection), stop);
  while (out.status() == 0) {
    const auto received = out.receive(deadline);
    if (!received) {
      return std::unexpected(received.error());
    }
  }
  return out;
}

Result<bool> KubernetesExchange::receive(TimePoint deadline) {
  const auto bytes = connection_.receive(deadline);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  const auto complete = bytes->empty() ? reader_.end() : reader_.feed(*bytes);
  if (!complete) {
    return complete;
  }
  complete_ = *complete;
  const auto paced = pace(bytes->size(), deadline);
  return paced ? complete : std::unexpected(paced.error());
}

Result<void> KubernetesExchange::pace(std::size_t bytes, TimePoint deadline) {
  const TimePoint now = SteadyClock::now();
  const double seconds = std::chrono::duration<double>(now - credited_).count();
  credit_ = std::min(kBurstBytes, credit_ + seconds * kBytesPerSecond) - static_cast<double>(bytes);
  credited_ = now;
  if (credit_ >= 0) {
    return {};
  }
  const auto pause =
      std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(-credit_ / kBytesPerSecond));
  if (!stop_->sleep_until(std::min(deadline, now + pause))) {
    return fail("ask", "Kubernetes", ECANCELED);
  }
  return {};
}

Result<std::string_view> KubernetesExchange::read(TimePoint deadline) {
  body_ = reader_.take_body();
  while (body_.empty() && !complete_) {
    const auto received = receive(deadline);
    if (!received) {
      return std::unexpected(received.error());
    }
    body_ = reader_.take_body();
  }
  return std::string_view(body_);
}

std::string read_rest(KubernetesExchange& exchange, std::size_t limit, KubernetesExchange::TimePoint deadline) {
  std::string out;
  while (out.size() < limit) {
    const auto piece = exchange.read(deadline);
    if (!piece || piece->empty()) {
      break;
    }
    out += piece->substr(0, limit - out.size());
  }
  return out;
}

}  // namespace memcrest
