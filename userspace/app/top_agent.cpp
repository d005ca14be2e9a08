// SPDX-License-Identifier: Apache-2.0
// `memcrest top --agent`: rows that an agent keeps, over its HTTP API. The agent is not trusted to be alive, honest or
// small.
#include <algorithm>
#include <stop_token>

#include "app/exit_codes.h"
#include "app/top_sources.h"
#include "export/live_json.h"
#include "identity/container_filter.h"
#include "identity/tls_connection.h"
#include "identity/unix_http.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience{3000};
constexpr HttpLimits kLimits{.body_bytes = std::size_t{64} << 20U};
constexpr std::size_t kMaxRows = 16384;
constexpr auto kIncidentsEvery = std::chrono::seconds(5);

// GET, on a connection of its own each time.
class AgentClient {
 public:
  [[nodiscard]] static Result<AgentClient> make(const TopOptions& options);
  [[nodiscard]] Result<std::string> get(const std::string& target) const;

 private:
  [[nodiscard]] Result<HttpAnswer> over_tcp(const std::string& target) const;

  std::string socket_;  // empty: endpoint_
  KubernetesEndpoint endpoint_;
  std::string token_file_;
};

Result<AgentClient> AgentClient::make(const TopOptions& options) {
  AgentClient out;
  out.token_file_ = options.agent_token;
  if (options.agent.starts_with("unix:") || options.agent.starts_with('/')) {
    out.socket_ = options.agent.substr(options.agent.starts_with("unix:") ? 5 : 0);
    return out;
  }
  // The rules for servers that are told a secret: plain HTTP to this host only, TLS with a CA to any other.
  auto endpoint = check_kubernetes_settings(
      {.server = options.agent, .tls_server_name = {}, .ca_file = options.agent_ca, .token_file = {}, .node = "agent"});
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
  const auto deadline = steady_clock::now() + kPatience;
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
  auto answer = socket_.empty() ? over_tcp(target) : UnixHttp(socket_, kLimits).get(target, kPatience);
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

class AgentTop final : public TopSource {
 public:
  AgentTop(const TopOptions& options, AgentClient client) : options_(options), client_(std::move(client)) {}

  [[nodiscard]] std::string name() const override { return options_.agent; }
  [[nodiscard]] Result<LiveSnapshot> look() override;
  [[nodiscard]] Result<std::optional<LiveDetail>> detail(std::uint64_t cgroup_id) override;
  [[nodiscard]] Result<std::vector<std::shared_ptr<const Incident>>> incidents() override;
  bool tend(milliseconds /*longest*/) override { return true; }

 private:
  [[nodiscard]] std::string since() const { return "?since=" + std::to_string(last_ns_); }

  const TopOptions& options_;
  AgentClient client_;
  std::uint64_t last_ns_ = 0;
  std::vector<std::shared_ptr<const Incident>> incidents_;
  steady_clock::time_point asked_;
};

Result<LiveSnapshot> AgentTop::look() {
  const auto body = client_.get("/api/v1/usage" + since());
  if (!body) {
    return std::unexpected(body.error());
  }
  std::string_view rest = *body;
  const auto next = [&] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  };
  auto out = live_head_from_json(next());
  if (!out) {
    return out;
  }
  while (!rest.empty() && out->rows.size() < kMaxRows) {
    auto row = live_row_from_json(next());
    if (!row) {
      return std::unexpected(row.error());
    }
    if (matches(options_.filter, row->memory.container, row->memory.cgroup.path)) {
      out->rows.push_back(std::move(*row));
    }
  }
  last_ns_ = out->boot_ns;
  return out;
}

Result<std::optional<LiveDetail>> AgentTop::detail(std::uint64_t cgroup_id) {
  const auto body = client_.get("/api/v1/usage/" + std::to_string(cgroup_id) + since());
  if (!body) {
    return body.error().code == ENOENT ? Result<std::optional<LiveDetail>>(std::nullopt)
                                       : std::unexpected(body.error());
  }
  auto out = live_detail_from_json(*body);
  if (!out) {
    return std::unexpected(out.error());
  }
  return std::optional(std::move(*out));
}

Result<std::vector<std::shared_ptr<const Incident>>> AgentTop::incidents() {
  if (steady_clock::now() - asked_ < kIncidentsEvery) {
    return incidents_;
  }
  asked_ = steady_clock::now();
  const auto body = client_.get("/api/v1/incidents?limit=50");
  if (!body) {
    return std::unexpected(body.error());
  }
  auto list = incidents_from_json(*body);
  if (!list) {
    return std::unexpected(list.error());
  }
  incidents_.clear();
  for (Incident& one : *list) {
    if (matches(options_.filter, one.container, one.cgroup.path)) {
      incidents_.push_back(std::make_shared<const Incident>(std::move(one)));
    }
  }
  return incidents_;
}

}  // namespace

TopOpened open_agent_top(const TopOptions& options) {
  auto client = AgentClient::make(options);
  if (!client) {
    return std::unexpected(TopFailure{client.error(), kExitUsage});
  }
  if (const auto answered = client->get("/readyz"); !answered) {
    return std::unexpected(TopFailure{answered.error(), kExitFailure});
  }
  return std::make_unique<AgentTop>(options, std::move(*client));
}

}  // namespace memcrest
