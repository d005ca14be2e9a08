// SPDX-License-Identifier: Apache-2.0
#include "app/agent_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <numeric>
#include <tuple>

#include "app/exit_codes.h"
#include "app/option_values.h"
#include "app/trace_options.h"
#include "serve/metric_names.h"
#include "util/text.h"

namespace memcrest {
namespace {

constexpr const char* kReloadable[] = {"token-file",         "keep-incidents", "keep-incidents-size",
                                       "keep-incidents-age", "max-containers", "keep-series"};

struct Modes {
  bool check = false;
  bool print = false;
  bool list_metrics = false;
};

void add_http(CLI::App& app, AgentOptions& options) {
  app.add_option("--listen", options.http.listen,
                 "Where HTTP listens: ADDRESS:PORT, or unix:/PATH (default: 127.0.0.1:9464). Beyond this host it needs "
                 "TLS and a token")
      ->type_name("ADDRESS")
      ->group("HTTP");
  app.add_option("--token-file", options.token_file, "Ask for the bearer token in this file (reloadable)")
      ->type_name("FILE")
      ->group("HTTP");
  app.add_option("--tls-certificate", options.http.tls_certificate, "Certificate chain, PEM")
      ->type_name("FILE")
      ->group("HTTP");
  app.add_option("--tls-key", options.http.tls_key, "Its key, PEM")->type_name("FILE")->group("HTTP");
  app.add_option("--max-connections", options.http.max_connections, "At the same time (default: 1024)")
      ->check(CLI::Range(4U, 65536U))
      ->group("HTTP");
  app.add_option("--max-streams", options.http.max_streams, "Streams of incidents at the same time (default: 32)")
      ->check(CLI::Range(0U, 4096U))
      ->group("HTTP");
}

void add_store(CLI::App& app, AgentOptions& options) {
  using namespace std::chrono_literals;
  app.add_option("--directory", options.directory,
                 "Where incidents and recordings are kept (default: /var/lib/memcrest)")
      ->type_name("DIR")
      ->group("Store");
  app.add_option("--keep-incidents", options.spool.max_count, "Keep so many (default: 10000; reloadable)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10'000'000}))
      ->group("Store");
  add_size(app, "--keep-incidents-size", options.spool.max_bytes, 1U << 20U, kMaxSize,
           "Keep incidents of so much in all (default: 64 MiB; reloadable)")
      ->group("Store");
  add_duration(app, "--keep-incidents-age", options.spool.max_age, 1min, kYear,
               "Keep incidents for so long (default: 30 days; reloadable)")
      ->group("Store");
  app.add_flag_callback(
         "--no-flight-recorder", [&options] { options.flight = false; }, "Do not record the seconds around each OOM")
      ->group("Flight recorder");
  add_duration(app, "--flight-before", options.record.excerpts.before, 1s, 1h, "Time before it (default: 30s)")
      ->group("Flight recorder");
  add_duration(app, "--flight-after", options.record.excerpts.after, 1s, 1h, "Time after it (default: 10s)")
      ->group("Flight recorder");
  add_size(app, "--flight-memory", options.record.excerpts.max_bytes, 64U << 10U, 4ULL << 30U,
           "Memory for what may be wanted (default: 4 MiB)")
      ->group("Flight recorder");
  add_size(app, "--memory-budget", options.memory_budget, 1U << 20U, kMaxSize,
           "Memory of its own, without its program and the rings: above it the flight recorder keeps less (default: 28 "
           "MiB more than --flight-memory)")
      ->group("Flight recorder");
  app.add_flag("--flight-bursts", options.record.excerpts.bursts, "Record the time around bursts as well")
      ->group("Flight recorder");
  app.add_option("--flight-keep-count", options.record.retention.max_count, "Keep so many recordings (default: 200)")
      ->group("Flight recorder");
  add_size(app, "--flight-keep-size", options.record.retention.max_bytes, 1U << 20U, kMaxSize,
           "Keep recordings of so much in all (default: 1 GiB)")
      ->group("Flight recorder");
  add_duration(app, "--flight-keep-age", options.record.retention.max_age, 1min, kYear,
               "Keep recordings for so long (default: as long as there is room)")
      ->group("Flight recorder");
}

void add_metrics(CLI::App& app, AgentOptions& options) {
  using namespace std::chrono_literals;
  app.add_option("--max-containers", options.metrics.max_containers,
                 "With series of their own (default: 2048; reloadable)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{65536}))
      ->group("Metrics");
  add_duration(app, "--keep-series", options.metrics.keep, 1s, kYear,
               "Keep the counts of a container so long after it has gone (default: 1h; reloadable)")
      ->group("Metrics");
}

void add_otlp(CLI::App& app, AgentOptions& options) {
  using namespace std::chrono_literals;
  app.add_option("--otlp-endpoint", options.otlp.endpoint,
                 "Send incidents as log records and containers' memory as metrics by OTLP over HTTP to this receiver: "
                 "http://127.0.0.1:4318 (/v1/logs and /v1/metrics follow)")
      ->type_name("URL")
      ->group("OTLP");
  app.add_option("--otlp-ca", options.otlp.tls.ca, "Trust these certificates, PEM (default: the system's)")
      ->type_name("FILE")
      ->group("OTLP");
  app.add_option("--otlp-cert", options.otlp.tls.cert, "Show this certificate to a receiver that asks for one, PEM")
      ->type_name("FILE")
      ->group("OTLP");
  app.add_option("--otlp-key", options.otlp.tls.key, "Its key, PEM, without a pass phrase")
      ->type_name("FILE")
      ->group("OTLP");
  app.add_option("--otlp-headers-file", options.otlp_headers_file,
                 "Send the headers in this file with each request, one a line: Name: value")
      ->type_name("FILE")
      ->group("OTLP");
  add_duration(app, "--otlp-metrics-interval", options.otlp.metrics_interval, 1s, 24h,
               "Send metrics so often (default: 60s)")
      ->group("OTLP");
  app.add_flag_callback(
         "--no-otlp-metrics", [&options] { options.otlp.metrics_interval = 0s; }, "Send incidents only")
      ->group("OTLP");
  app.add_flag("--otlp-spans", options.otlp.spans,
               "Send a span for each burst and each OOM as well (/v1/traces), which its log record names")
      ->group("OTLP");
  app.add_flag_callback(
         "--no-otlp-compression", [&options] { options.otlp.compress = false; }, "Send without gzip")
      ->group("OTLP");
}

void add_notices(CLI::App& app, AgentOptions& options) {
  app.add_option("--webhook-url", options.webhook.url, "POST each incident as JSON to this URL")
      ->type_name("URL")
      ->group("Notices");
  app.add_option("--webhook-format", options.webhook.format,
                 "What is sent: json (memcrest.webhook.v1), slack (a text), alertmanager (its /api/v2/alerts)")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, WebhookFormat>{{"json", WebhookFormat::kJson},
                                                                       {"slack", WebhookFormat::kSlack},
                                                                       {"alertmanager", WebhookFormat::kAlertmanager}}))
      ->type_name("FORMAT")
      ->group("Notices");
  app.add_option("--webhook-secret-file", options.webhook_secret_file,
                 "Sign each request with HMAC-SHA256 by the secret in this file")
      ->type_name("FILE")
      ->group("Notices");
  app.add_option("--webhook-headers-file", options.webhook_headers_file, "As --otlp-headers-file")
      ->type_name("FILE")
      ->group("Notices");
  app.add_option("--webhook-ca", options.webhook.tls.ca, "As --otlp-ca")->type_name("FILE")->group("Notices");
  app.add_option("--webhook-cert", options.webhook.tls.cert, "As --otlp-cert")->type_name("FILE")->group("Notices");
  app.add_option("--webhook-key", options.webhook.tls.key, "As --otlp-key")->type_name("FILE")->group("Notices");
  app.add_option("--host-log", options.host_log, "Write a line for each incident to the host's log: journald or syslog")
      ->transform(CLI::CheckedTransformer(std::map<std::string, HostLog>{
          {"none", HostLog::kNone}, {"journald", HostLog::kJournald}, {"syslog", HostLog::kSyslog}}))
      ->type_name("LOG")
      ->group("Notices");
  app.add_flag("--kubernetes-events", options.kubernetes_events,
               "Put an Event on the pod of each incident, by the Kubernetes API that is asked for names; needs the "
               "right to create events")
      ->group("Notices");
}

void add_breakpoints(CLI::App& app, BreakPolicyOptions& options) {
  using namespace std::chrono_literals;
  constexpr const char* kGroup = "Breakpoints";
  app.add_option_function<std::string>(
         "--break-at",
         [&options](const std::string& text) {
           auto rule = parse_line_rule(text);
           if (!rule) {
             throw CLI::ValidationError("--break-at", rule.error().detail);
           }
           options.at = *rule;
         },
         "At this line, a size or a part of the limit that counts, do to a container what its label asks for (default: "
         "nothing is ever done)")
      ->type_name("SIZE|PERCENT%")
      ->group(kGroup);
  app.add_option(
         "--break-allow", options.allowed,
         "What labels may ask for, separated by commas: stop, signal:SIG, smaps, core, python, jvm, node, go, exec")
      ->delimiter(',')
      ->type_name("ACTION")
      ->group(kGroup);
  app.add_option("--break-exec", options.exec, "The command of the action exec, as of memcrest break --exec")
      ->type_name("COMMAND")
      ->group(kGroup);
  app.add_option("--break-label", options.label,
                 "The label of a container that names the action (default: memcrest.break)")
      ->type_name("KEY")
      ->group(kGroup);
  app.add_option("--break-default", options.otherwise, "The action for containers without that label (default: none)")
      ->type_name("ACTION")
      ->group(kGroup);
  add_duration(app, "--break-hold", options.hold, 100ms, 5min, "Resume after this time at the latest (default: 10s)")
      ->group(kGroup);
  add_duration(app, "--break-every", options.every, 10s, kYear,
               "Do it to a container at most so often (default: 10min)")
      ->group(kGroup);
  app.add_option("--break-most", options.most_per_hour, "Do it so often an hour on this host (default: 12)")
      ->check(CLI::Range(1U, 100'000U))
      ->group(kGroup);
  app.add_option("--break-output", options.output,
                 "Directory for what actions write, made with mode 0700 (default: break in --directory)")
      ->type_name("DIR")
      ->group(kGroup);
}

void add_agent(CLI::App& app, AgentOptions& options, Modes& modes) {
  options.http.max_connections = 1024;
  options.record.retention.max_count = 200;
  options.record.retention.max_bytes = 1ULL << 30U;
  app.set_config("--config", "", "Read options from this TOML file: keys as the flags, without --")->type_name("FILE");
  app.add_flag("--check-config", modes.check, "Only say whether the configuration is right");
  app.add_flag("--print-config", modes.print, "Print every key with its meaning, as a file to begin with");
  app.add_flag("--list-metrics", modes.list_metrics, "Print every metric with its meaning");
  add_http(app, options);
  add_store(app, options);
  add_metrics(app, options);
  add_otlp(app, options);
  add_notices(app, options);
  add_breakpoints(app, options.breaking);
  app.add_flag("--keep-privileges", options.keep_privileges, "Do not give up capabilities once the hooks are attached")
      ->group("Advanced");
  app.add_flag_callback(
         "--no-seccomp", [&options] { options.seccomp = false; },
         "Do not restrict the system calls of the agent itself")
      ->group("Advanced");
  add_trace(app, options.trace);
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 1) {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
  app.footer(
      "A flag wins over the environment (MEMCREST_LISTEN for --listen), that over the file. SIGHUP reads file and "
      "token\n"
      "again: what is called reloadable takes effect, of anything else it is said that it does not.\n"
      "Example: memcrest agent --config /etc/memcrest/agent.toml");
}

std::string variable_of(const std::string& key) {
  std::string out = "MEMCREST_" + key;
  std::ranges::transform(out, out.begin(), [](char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  return out;
}

// The environment as flags, to stand before those of the command line: the last one wins.
std::vector<std::string> flags_of_environment(CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::Option* option : app.get_options()) {
    const std::string key = option->get_lnames().empty() ? std::string() : option->get_lnames().front();
    const char* value = key.empty() || key == "help" ? nullptr : process_environment(variable_of(key).c_str());
    if (value == nullptr) {
      continue;
    }
    const bool is_flag = option->get_items_expected_max() == 0;
    const std::string_view text = value;
    if (!is_flag && text.empty()) {  // CLI11 takes "--key=" for a value that was forgotten
      out.insert(out.end(), {"--" + key, ""});
    } else if (!is_flag) {
      out.push_back("--" + key + "=" + value);
    } else if (text == "1" || text == "true") {
      out.push_back("--" + key);
    } else if (!text.empty() && text != "0" && text != "false") {
      throw CLI::ValidationError(variable_of(key), "must be true or false");
    }
  }
  return out;
}

// CLI11 would leave unknown keys aside, or refuse them without a hint.
void check_keys(const CLI::App& app, const std::string& path) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_lnames().empty() && option->get_lnames().front() != "config") {
      known.push_back(option->get_lnames().front());
    }
  }
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(path)) {
    const std::string key = item.fullname();
    if (key.ends_with("++") || key.ends_with("--")) {
      throw CLI::ValidationError(path, "has no sections: " + key.substr(0, key.size() - 3));
    }
    if (std::ranges::find(known, key) == known.end()) {
      const std::string near = nearest_word(key, known);
      throw CLI::ValidationError(path, "unknown key: " + key + (near.empty() ? "" : "; is " + near + " meant?"));
    }
  }
}

std::string read_secret(const char* flag, const std::string& path, std::size_t least) {
  auto text = read_file(path, 16384);
  if (!text) {
    throw CLI::ValidationError(flag, text.error().message());
  }
  std::string out = text->substr(0, text->find_last_not_of(" \r\n\t") + 1);
  if (out.size() < least) {
    throw CLI::ValidationError(flag, "must hold at least " + std::to_string(least) + " characters");
  }
  return out;
}

HttpHeaders read_headers(const char* flag, const std::string& path) {
  auto headers = parse_headers(path.empty() ? "" : read_secret(flag, path, 1));
  if (!headers) {
    throw CLI::ValidationError(flag, headers.error().message());
  }
  return *headers;
}

void check_receivers(AgentOptions& options) {
  options.otlp.headers = read_headers("--otlp-headers-file", options.otlp_headers_file);
  options.webhook.headers = read_headers("--webhook-headers-file", options.webhook_headers_file);
  if (!options.webhook_secret_file.empty()) {
    options.webhook.secret = read_secret("--webhook-secret-file", options.webhook_secret_file, 16);
  }
  for (const auto& [flag, url, files] : {std::tuple("--otlp-endpoint", options.otlp.endpoint, options.otlp.tls),
                                         std::tuple("--webhook-url", options.webhook.url, options.webhook.tls)}) {
    if (url.empty()) {
      continue;
    }
    if (const auto made = HttpPost::make(url, files, {}); !made) {
      throw CLI::ValidationError(flag, made.error().message());
    }
  }
}

void parse(CLI::App& app, AgentOptions& options, int argc, char** argv) {
  std::vector<std::string> words = flags_of_environment(app);
  words.insert(words.end(), argv + 1, argv + argc);
  std::ranges::reverse(words);  // as CLI11 wants them
  app.allow_config_extras(CLI::config_extras_mode::ignore_all);
  app.parse(words);
  const CLI::Option* config = app.get_option("--config");
  if (config->count() > 0) {
    check_keys(app, config->as<std::string>());
  }
  check_trace(options.trace);
  if (!options.token_file.empty()) {
    options.http.token = read_secret("--token-file", options.token_file, 16);
  }
  check_receivers(options);
  if (auto checked = check_http_settings(options.http); !checked) {
    throw CLI::ValidationError("--listen", checked.error().message());
  }
  if (options.breaking.output.empty()) {
    options.breaking.output = options.directory + "/break";
  }
  if (auto checked = check_policy(options.breaking); !checked) {
    throw CLI::ValidationError(checked.error().operation, checked.error().detail);
  }
  options.trace.breakpoints = options.breaking.is_on();
  if (options.flight) {
    options.record.flight = true;
    options.record.directory = options.directory + "/recordings";
  }
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() > 0 && !option->get_lnames().empty()) {
      options.values[option->get_lnames().front()] = CLI::detail::join(option->results(), "\n");
    }
  }
}

}  // namespace

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string& one : known) {
    std::vector<std::size_t> row(one.size() + 1);  // Levenshtein's
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t before = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= one.size(); ++j) {
        const std::size_t change = before + (word[i - 1] == one[j - 1] ? 0 : 1);
        before = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
      }
    }
    if (row.back() < least) {
      least = row.back();
      best = one;
    }
  }
  return best;
}

bool is_reloadable(const std::string& key) { return std::ranges::find(kReloadable, key) != std::end(kReloadable); }

Result<AgentOptions> read_agent(int argc, char** argv) {
  AgentOptions options;
  Modes modes;
  CLI::App app("", "memcrest agent");
  add_agent(app, options, modes);
  try {
    parse(app, options, argc, argv);
  } catch (const CLI::Error& error) {
    return fail("read the configuration", {}, EINVAL, error.what());
  }
  return options;
}

std::shared_ptr<const void> describe_agent(CLI::App& app) {
  auto bound = std::make_shared<std::pair<AgentOptions, Modes>>();
  add_agent(app, bound->first, bound->second);
  return bound;
}

ParsedAgent parse_agent(int argc, char** argv) {
  AgentOptions options;
  Modes modes;
  CLI::App app("Watch this node for months: incidents and metrics over HTTP, kept on disk", "memcrest agent");
  add_agent(app, options, modes);
  try {
    parse(app, options, argc, argv);
  } catch (const CLI::Error& error) {
    if (error.get_exit_code() == 0) {
      return {std::nullopt, app.exit(error)};
    }
    std::cerr << "memcrest: " << escape_terminal(error.what()) << "\nTry 'memcrest agent --help'.\n";
    return {std::nullopt, kExitUsage};
  }
  if (modes.list_metrics) {
    std::cout << metrics_as_markdown() << std::flush;
  } else if (modes.print) {
    std::cout << app.config_to_str(true, true) << std::flush;
  } else if (modes.check) {
    std::cout << "the configuration is right\n" << std::flush;
  } else {
    return {std::move(options), kExitOk};
  }
  return {std::nullopt, std::cout ? kExitOk : kExitOutput};
}

}  // namespace memcrest
