// SPDX-License-Identifier: Apache-2.0
// What the agent answers to which path (docs/openapi.json): metrics, health, incidents, containers, the stream of
// incidents. Knows nothing of sockets. Handlers run on any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memcrest/clock.h"
#include "memcrest/event_source.h"
#include "serve/http_server.h"
#include "serve/metrics_book.h"
#include "store/incident_spool.h"

namespace memcrest {

struct LookupStatus {
  std::string source;  // "Docker"
  std::uint64_t failures = 0;
  std::optional<bool> up;  // its events are followed; nullopt: it has none
};

struct TargetStatus {
  std::string name;  // "otlp", "webhook"
  std::uint64_t sent = 0;
  std::uint64_t failures = 0;
  std::uint64_t dropped = 0;
  std::uint64_t queue = 0;
  std::string last_error;
};

// What the agent says of itself at one moment.
struct AgentStatus {
  bool ready = false;
  std::string not_ready;  // why
  std::string charge_tier;
  std::string oom_tier;
  std::string kernel;
  LossCount lost;
  std::uint64_t events = 0;
  std::int64_t start_unix_ns = 0;
  std::uint64_t memory_budget_bytes = 0;
  std::uint64_t flight_bytes = 0;  // that the flight recorder may keep now; 0: there is none
  std::vector<LookupStatus> lookups;
  std::vector<TargetStatus> targets;
  std::map<std::pair<std::string, std::string>, std::uint64_t> actions;  // at lines, by action and result
};

// Where the API gets its answers. All outlive it; the functions are called from any thread.
struct ApiSources {
  MetricsBook& book;
  const IncidentSpool& spool;
  const Clock& clock;
  std::function<AgentStatus()> status;
  std::function<void()> refresh;                                      // the book's figures are to be as of now
  std::function<std::map<int, std::uint64_t>()> answered;             // requests by status
  std::function<std::string(const std::string& id)> recording;        // file that holds it; empty: none
  std::function<Result<std::string>(const std::string& path)> trace;  // a recording as a Perfetto trace
};

class Api {
 public:
  explicit Api(ApiSources sources) : sources_(std::move(sources)) {}

  [[nodiscard]] HttpResponse answer(const HttpRequest& request) const;
  // One incident as an event of the stream.
  [[nodiscard]] static std::string event_of(const std::string& id, const std::string& json);

 private:
  [[nodiscard]] HttpResponse metrics(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse incidents(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse incident(const HttpRequest& request, const std::string& id) const;
  [[nodiscard]] HttpResponse containers() const;

  ApiSources sources_;
};

}  // namespace memcrest
