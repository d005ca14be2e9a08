// SPDX-License-Identifier: Apache-2.0
#include "app/agent_client.h"

#include <algorithm>
#include <chrono>
#include <stop_token>

#include "identity/tls_connection.h"
#include "identity/unix_http.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kAgentPatience{3000};
constexpr HttpLimits kLimits{.body_bytes = std::size_t{64} << 20U};

}  // namespace

Result<AgentClient> AgentClient::make(const AgentAddress& address) {
  AgentClient out;
  out.token_file_ = address.token_file;
  if (address.url.starts_with("unix:") || address.url.starts_with('/')) {
    out.socket_ = address.url.substr(address.url.starts_with("unix:") ? 5 : 0);
    return out;
  }
  // The rules for servers that are told a secret: plain HTTP to this host only, TLS with a CA to any other.
  auto endpoint = check_kubernetes_settings(
      {.server = address.url, .tls_server_name = {}, .ca_file = address.ca_file, .token_file = {}, .node = "agent"});
  if (!endpoint) {
    return std::unexpected(endpoint.error());
  }
  out.endpoint_ = std::move(*endpoint);
  return out;
}

Result<HttpAnswer> AgentClient::over_tcp(const std::string& target) const {
  std::string request = "GET " + endpoint_.base_path + target + " HTTP/1.0\r\nHost: " + endpoint_.authority() + "\r\n";
  if (!token_file_.empty()) {
    auto token = read_file(token_file_, 16384);
    if (!token) {
      return fail_errno("read the token in", token_file_);
    }
    token->erase(token->find_last_not_of(" \r\n") + 1);
    if (!std::ranges::all_of(*token, [](char c) { return c > ' ' && c < '\x7f'; })) {
      return fail("read the token in", token_file_, EINVAL, "not a token");
    }
    request += "Authorization: Bearer " + *token + "\r\n";
  }
  request += "\r\n";
  const auto deadline = steady_clock::now() + kAgentPatience;
  const StopEvent never{std::stop_token{}};
  auto connection = TlsConnection::open(endpoint_, deadline, never);
  if (!connection) {
    return std::unexpected(connection.error());
  }
  if (const auto sent = connection->send(request, deadline); !sent) {
    return std::unexpected(sent.error());
  }
  HttpAnswerReader reader(kLimits);
  while (true) {
    const auto bytes = connection->receive(deadline);
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    const auto whole = bytes->empty() ? reader.end() : reader.feed(*bytes);
    if (!whole) {
      return std::unexpected(whole.error());
    }
    if (*whole) {
      return reader.take();
    }
  }
}

Result<std::string> AgentClient::get(const std::string& target) const {
  auto answer = socket_.empty() ? over_tcp(target) : UnixHttp(socket_, kLimits).get(target, kAgentPatience);
  if (!answer) {
    return std::unexpected(answer.error().within("ask the agent"));
  }
  if (answer->status == 401) {
    return fail("ask", "the agent", EACCES, "it wants a token: --agent-token FILE");
  }
  if (answer->status == 404) {
    return fail("ask", "the agent", ENOENT, target + " is not known there");
  }
  if (answer->status != 200) {
    return fail("ask", "the agent", EPROTO, "it answered " + std::to_string(answer->status));
  }
  return std::move(answer->body);
}

}  // namespace memcrest
