// SPDX-License-Identifier: Apache-2.0
#include "app/top_options.h"

#include <CLI/CLI.hpp>

#include "app/filter_options.h"
#include "app/option_values.h"
#include "app/trace_options.h"

namespace memcrest {

CLI::Option* add_agent_address(CLI::App& verb, AgentAddress& address) {
  verb.add_option("--agent-token", address.token_file, "File with the agent's bearer token")->type_name("FILE");
  verb.add_option("--agent-ca", address.ca_file, "Certificates to trust for https, PEM")->type_name("FILE");
  return verb
      .add_option("--agent", address.url, "Ask an agent: http://127.0.0.1:9464, https://HOST:PORT or its unix socket")
      ->type_name("URL|SOCKET");
}

CLI::App* add_top(CLI::App& app, TopOptions& options) {
  using namespace std::chrono_literals;
  CLI::App* verb =
      app.add_subcommand("top", "Watch containers on a screen: use, exact peaks, the last minute, incidents");
  CLI::Option* file =
      verb->add_option("file", options.path, "A recording: look at any moment of it (default: this machine)");
  add_agent_address(*verb, options.agent)->excludes(file);
  add_duration(*verb, "--interval", options.interval, 100ms, 1min, "Time between two refreshes (default: 1s)");
  verb->add_option_function<std::string>(
          "--sort",
          [&options](const std::string& text) {
            const auto order = parse_top_order(text);
            if (!order) {
              throw CLI::ValidationError("--sort",
                                         "must be percent, use, peak, max, limit, growth, oom, stall or name");
            }
            options.order = *order;
          },
          "percent (of the effective limit, by the peak; the default), use, peak, max, limit, growth, oom, stall, name")
      ->type_name("ORDER");
  verb->add_flag("--once", options.once, "Print the list after one interval, and end");
  verb->add_flag("--json", options.json, "The same as one JSON object per container (docs/top.md)");
  verb->add_flag("--all", options.all, "Also systemd's units and cgroups that have a limit or none below them");
  verb->add_flag("--no-color", options.no_color, "No colours; NO_COLOR does the same");
  add_filter(*verb, options.filter);
  add_trace(*verb, options.trace);
  verb->footer(
      "Keys: h shows them. Peaks are exact however short they were: they come from the kernel's own marks and from\n"
      "every step of usage, not from looking often. A recording and an agent need no privileges here.\n"
      "Examples:\n"
      "  memcrest top\n"
      "  memcrest top --agent http://127.0.0.1:9464\n"
      "  memcrest top night.db\n"
      "  memcrest top --once --json | jq .live.peak_interval_bytes");
  return verb;
}

}  // namespace memcrest
