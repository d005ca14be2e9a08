// SPDX-License-Identifier: Apache-2.0
// What `memcrest agent` is told: by flags, before environment variables (MEMCREST_ and the flag's name), before the
// file (TOML, keys as the flags). One list of options for all three.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "app/break_policy_options.h"
#include "app/options.h"
#include "serve/http_server.h"
#include "serve/metrics_book.h"
#include "serve/receivers.h"
#include "store/incident_spool.h"

namespace CLI {
class App;
}

namespace memcrest {

struct AgentOptions {
  TraceOptions trace;
  RecordOptions record;
  HttpSettings http;
  SpoolRetention spool;
  MetricsSettings metrics;
  OtlpSettings otlp;
  WebhookSettings webhook;
  BreakPolicyOptions breaking;
  HostLog host_log = HostLog::kNone;
  bool kubernetes_events = false;
  std::string otlp_headers_file;
  std::string webhook_headers_file;
  std::string webhook_secret_file;
  std::string directory = "/var/lib/memcrest";
  std::string token_file;
  bool flight = true;
  std::uint64_t memory_budget = 0;  // 0: 28 MiB more than the flight recorder has
  bool keep_privileges = false;
  bool seccomp = true;
  std::map<std::string, std::string> values;  // as given, by key: what a reload compares
};

struct ParsedAgent {
  std::optional<AgentOptions> options;  // unset: end at once with exit_code
  int exit_code = 0;
};

// `argv[0]` is "agent". Prints help, lists and errors by itself.
[[nodiscard]] ParsedAgent parse_agent(int argc, char** argv);
// The same once more, for a reload; errors as text, nothing printed.
[[nodiscard]] Result<AgentOptions> read_agent(int argc, char** argv);

// Adds the options to `app` for whoever only describes them; what they are bound to lives as long as what is returned.
[[nodiscard]] std::shared_ptr<const void> describe_agent(CLI::App& app);

// Whether a key takes effect without a restart.
[[nodiscard]] bool is_reloadable(const std::string& key);
// The one of `known` that `word` was probably meant to be; empty: none is near.
[[nodiscard]] std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

}  // namespace memcrest
