// SPDX-License-Identifier: Apache-2.0
// `memcrest top --agent`: rows that an agent keeps, over its HTTP API.
#include <algorithm>

#include "app/agent_client.h"
#include "app/exit_codes.h"
#include "app/top_sources.h"
#include "export/live_json.h"
#include "identity/container_filter.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMaxRows = 16384;
constexpr auto kIncidentsEvery = std::chrono::seconds(5);

class AgentTop final : public TopSource {
 public:
  AgentTop(const TopOptions& options, AgentClient client) : options_(options), client_(std::move(client)) {}

  [[nodiscard]] std::string name() const override { return options_.agent.url; }
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
  auto client = AgentClient::make(options.agent);
  if (!client) {
    return std::unexpected(TopFailure{client.error(), kExitUsage});
  }
  if (const auto answered = client->get("/readyz"); !answered) {
    return std::unexpected(TopFailure{answered.error(), kExitFailure});
  }
  return std::make_unique<AgentTop>(options, std::move(*client));
}

}  // namespace memcrest
