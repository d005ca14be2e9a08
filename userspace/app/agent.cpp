// SPDX-License-Identifier: Apache-2.0
// `memcrest agent`: the session of watch, for months: a spool of incidents, the flight recorder, and HTTP. The main
// thread is the collector's; what HTTP shows it takes from snapshots.
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "app/agent_figures.h"
#include "app/agent_options.h"
#include "app/agent_sampler.h"
#include "app/break_policy.h"
#include "app/exit_codes.h"
#include "app/memory_budget.h"
#include "app/own_memory.h"
#include "app/privileges.h"
#include "app/recorded_cgroups.h"
#include "app/recording_pass.h"
#include "app/session.h"
#include "app/signals.h"
#include "app/syscall_filter.h"
#include "app/verbs.h"
#include "export/json.h"
#include "export/perfetto_export.h"
#include "report/recorded_names.h"
#include "serve/api.h"
#include "serve/kubernetes_events.h"
#include "serve/live_api.h"
#include "store/recording_search.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kOtherMemory = 28U << 20U;  // beside the flight recorder's
constexpr std::size_t kMaxTrace = 64U << 20U;

// sd_notify(3) is one datagram.
void tell_systemd(const char* text) {
  const char* path = process_environment("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path) || (*path != '/' && *path != '@')) {
    return;
  }
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (*path == '@') {
    address.sun_path[0] = '\0';
  }
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  ignore_result(::sendto(fd.get(), text, std::strlen(text), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size));
}

// Each connection takes a descriptor, as does each cgroup that is looked at.
void raise_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

Host read_host() {
  Host out;
  utsname names{};
  if (::uname(&names) == 0) {
    out.name = names.nodename;
    out.kernel = names.release;
  }
  if (auto boot_id = read_file(SystemRoot{}.proc + "/sys/kernel/random/boot_id")) {
    out.boot_id = boot_id->substr(0, boot_id->find('\n'));
  }
  return out;
}

class BoundedSink final : public ByteSink {
 public:
  void write(std::string_view bytes) override {
    full_ = full_ || bytes_.size() + bytes.size() > kMaxTrace;
    bytes_ += full_ ? std::string_view() : bytes;
  }
  [[nodiscard]] Result<std::string> take() {
    return full_ ? fail("export", "the recording", EFBIG, "the trace is too large; memcrest export makes it")
                 : Result<std::string>(std::move(bytes_));
  }

 private:
  std::string bytes_;
  bool full_ = false;
};

Result<std::string> trace_of(const std::string& path) {
  auto reader = RecordingReader::open(path);
  if (!reader) {
    return std::unexpected(reader.error());
  }
  auto cgroups = cgroups_of(*reader);
  if (!cgroups) {
    return std::unexpected(cgroups.error());
  }
  BoundedSink sink;
  const RecordedNames frames(*reader);
  PerfettoExport exporter({sink, reader->meta(), *cgroups, frames});
  const ContainerFilter all;
  RecordingFeed feed(exporter, *cgroups, all, frames);
  feed.begin_with_loss();
  const RecordingPass pass = pass_items(*reader, feed, [] { return true; });
  ExportEnd end = end_of(*reader, pass.damage);
  feed.finish(end);
  return sink.take();
}

MeasuredStalls measured_stalls(const Features& features) {
  const auto sees = [&](std::string_view role) {
    return std::ranges::any_of(features.hooks,
                               [&](const Hook& hook) { return hook.role == role && features.runs(hook.program); });
  };
  return {.reclaim = sees("reclaim_begin") && sees("reclaim_end"),
          .throttle = sees("throttle_begin") && sees("throttle_end")};
}

Result<std::unique_ptr<Receiver>> make_pod_events(const IdentityOptions& identity, const Clock& clock) {
  auto settings = resolver_settings(identity);
  if (!settings) {
    return std::unexpected(settings.error());
  }
  if (!settings->kubernetes) {
    return fail("put Events on pods", {}, EINVAL, "no Kubernetes API is asked: see --kubernetes-server");
  }
  return make_kubernetes_events(*settings->kubernetes, clock);
}

std::uint64_t budget_of(const AgentOptions& options) {
  return options.memory_budget != 0 ? options.memory_budget : kOtherMemory + options.record.excerpts.max_bytes;
}

class Agent {
 public:
  Agent(AgentOptions options, int argc, char** argv)
      : options_(std::move(options)),
        argc_(argc),
        argv_(argv),
        book_(options_.metrics),
        flight_most_(options_.flight ? options_.record.excerpts.max_bytes : 0),
        flight_room_(std::make_shared<std::atomic<std::uint64_t>>(flight_most_)) {
    options_.record.excerpts.room = flight_room_;
    status_.memory_budget_bytes = budget_of(options_);
  }

  int run();

 private:
  [[nodiscard]] int fail(const Error& error, int code = kExitFailure) const;
  [[nodiscard]] Result<void> serve();
  [[nodiscard]] Result<void> open();
  void restrict_calls(ThreadDuty duty) const;
  [[nodiscard]] Result<void> open_deliveries();
  [[nodiscard]] OtlpFigures figures();
  [[nodiscard]] std::string delivery_trouble() const;
  [[nodiscard]] std::string memory_gap(const Incident& incident) const;
  void tell(const Incident& incident);
  void publish(const Incident& incident);
  void tell_all(const Incident& incident);
  void publish_and_record(std::vector<Incident> updates);
  void act();
  void sample();
  void refresh();
  void reload();
  void follow();
  [[nodiscard]] AgentStatus status() const;
  [[nodiscard]] LiveSnapshot live_head() const;

  AgentOptions options_;
  int argc_;
  char** argv_;
  SystemClock clock_;
  MetricsBook book_;
  std::uint64_t flight_most_;  // what the flight recorder may keep while all is well; 0: there is none
  std::shared_ptr<std::atomic<std::uint64_t>> flight_room_;  // and now
  std::optional<CgroupTree> tree_;
  std::optional<AgentFigures> figures_;
  std::unique_ptr<BreakPolicy> policy_;  // null: nothing is done to anybody
  std::vector<Incident> unrecorded_;     // breakpoints
  std::unique_ptr<Session> session_;
  std::atomic<Session*> live_ = nullptr;  // for other threads: session_ once the hooks are attached
  std::unique_ptr<IncidentSpool> spool_;
  std::vector<std::unique_ptr<Delivery>> deliveries_;
  std::unique_ptr<OtlpMetrics> otlp_metrics_;
  std::unique_ptr<LiveFeed> feed_;
  std::unique_ptr<LiveApi> live_api_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<AgentSampler> sampler_;
  std::atomic<AgentSampler*> refresher_ = nullptr;  // for other threads: sampler_ once it is there
  mutable std::mutex mutex_;                        // of status_
  AgentStatus status_;
  Host host_;
  steady_clock::time_point loss_read_;
  std::string told_trouble_;
  std::string told_delivery_;
};

int Agent::fail(const Error& error, int code) const {
  spdlog::error("{}", escape_terminal(error.message()));
  return code;
}

// On the collector's thread; nothing here waits for a disk or a client.
void Agent::tell(const Incident& incident) {
  if (policy_ && incident.kind == IncidentKind::kBreakpoint) {
    Incident whole = incident;
    if (policy_->complete(whole)) {
      publish(whole);
      unrecorded_.push_back(std::move(whole));
    }
    return;
  }
  publish(incident);
}

void Agent::act() {
  if (!policy_) {
    return;
  }
  policy_->tick(session_->resolver(), *tree_);
  publish_and_record(policy_->updates());
  const std::lock_guard lock(mutex_);
  status_.actions = policy_->counts();
}

// Breakpoints, which a recording gets as they were told: not from within the sink.
void Agent::publish_and_record(std::vector<Incident> updates) {
  for (Incident& update : updates) {
    publish(update);
    unrecorded_.push_back(std::move(update));
  }
  for (const Incident& one : std::exchange(unrecorded_, {})) {
    session_->record(one);
  }
}

// Of one whose recording lacks something by it.
std::string Agent::memory_gap(const Incident& incident) const {
  const std::uint64_t room = flight_room_->load(std::memory_order_relaxed);
  return !session_ || room >= flight_most_ || !session_->is_cut(incident.cgroup.id)
             ? ""
             : "the agent was past its memory budget (--memory-budget): its flight recorder kept " + format_size(room) +
                   " instead of " + format_size(flight_most_);
}

void Agent::publish(const Incident& incident) {
  if (const std::string gap = memory_gap(incident); !gap.empty()) {
    Incident more = incident;
    more.evidence.gaps.push_back(gap);
    more.evidence.complete = false;
    tell_all(more);
  } else {
    tell_all(incident);
  }
}

void Agent::tell_all(const Incident& incident) {
  book_.note(incident, clock_.boot_ns());
  feed_->note(incident);
  if (!spool_ || !server_) {
    return;  // none is told before the first turn
  }
  std::string json = to_json(incident);
  server_->publish(Api::event_of(incident.id, json));
  spool_->add(incident, std::move(json));
}

LiveSnapshot Agent::live_head() const {
  LiveSnapshot out;
  const AgentStatus now = status();
  out.charge_tier = now.charge_tier;
  out.oom_tier = now.oom_tier;
  out.lost = now.lost;
  return out;
}

void Agent::sample() {
  book_.note(figures_->read_all(), clock_.boot_ns(), [this](std::uint64_t id) { return figures_->container_of(id); });
}

void Agent::refresh() {
  if (AgentSampler* sampler = refresher_; sampler != nullptr) {
    sampler->refresh();
  }
}

AgentStatus Agent::status() const {
  std::unique_lock lock(mutex_);
  AgentStatus out = status_;
  lock.unlock();
  out.flight_bytes = flight_room_->load(std::memory_order_relaxed);
  for (const auto& delivery : deliveries_) {
    out.targets.push_back(delivery->status());
  }
  if (otlp_metrics_) {
    out.targets.push_back(otlp_metrics_->status());
  }
  Session* session = live_;
  if (session == nullptr) {
    return out;
  }
  for (const LookupCount& one : session->resolver().look_ups()) {
    out.lookups.push_back({.source = one.source, .failures = one.failures, .up = std::nullopt});
  }
  for (const EngineStream& stream : session->resolver().streams()) {
    const RuntimeEventsState& state = stream.state;
    auto found = std::ranges::find(out.lookups, stream.engine, &LookupStatus::source);
    if (found == out.lookups.end()) {
      found = out.lookups.insert(found, LookupStatus{.source = stream.engine, .up = std::nullopt});
    }
    found->failures += state.attempts - std::min(state.attempts, state.connections);
    found->up = state.connected_since_unix_ns.has_value();
  }
  return out;
}

// A kernel without filters is a fact to live with, as one without BPF is.
void Agent::restrict_calls(ThreadDuty duty) const {
  if (!options_.seccomp) {
    return;
  }
  if (const auto filtered = filter_syscalls(duty); !filtered) {
    spdlog::error("goes on without restricted system calls: {}", escape_terminal(filtered.error().message()));
  }
}

// Before the hooks are attached, which takes its time: whoever asks is told that it is not ready. The threads of HTTP
// and spool are started by one that has given up all capabilities, and so have none.
Result<void> Agent::serve() {
  Result<void> out;
  std::thread([&] {
    out = options_.keep_privileges ? Result<void>{} : drop_all_privileges();
    restrict_calls(ThreadDuty::kServe);
    out = out ? open() : out;
  }).join();
  return out;
}

Result<void> Agent::open() {
  auto spool = IncidentSpool::open(options_.directory, options_.spool, clock_);
  if (!spool) {
    return std::unexpected(spool.error());
  }
  spool_ = std::move(*spool);
  if (const auto moved = spool_->status().moved_away; !moved.empty()) {
    spdlog::error("the spool was damaged; it lies in {} now, a new one was begun", escape_terminal(moved));
  }
  api_ = std::make_unique<Api>(ApiSources{
      .book = book_,
      .spool = *spool_,
      .clock = clock_,
      .status = [this] { return status(); },
      .refresh = [this] { refresh(); },
      .answered = [this] { return server_ ? server_->answered() : std::map<int, std::uint64_t>(); },
      .recording = [directory = options_.record.directory](
                       const std::string& id) { return directory.empty() ? "" : find_recording(directory, id); },
      .trace = trace_of,
  });
  if (auto opened = open_deliveries(); !opened) {
    return opened;
  }
  // Requests may come before `server_` is set: they wait for it.
  std::unique_lock lock(mutex_);
  auto server = HttpServer::start(options_.http, [this](const HttpRequest& request) {
    {
      const std::lock_guard started(mutex_);
    }
    auto live = live_api_->answer(request);
    return live ? std::move(*live) : api_->answer(request);
  });
  if (!server) {
    return std::unexpected(server.error());
  }
  server_ = std::move(*server);
  return {};
}

Result<void> Agent::open_deliveries() {
  const auto add = [this](Result<std::unique_ptr<Receiver>> receiver) -> Result<void> {
    if (!receiver) {
      return std::unexpected(receiver.error());
    }
    deliveries_.push_back(std::make_unique<Delivery>(*spool_, std::move(*receiver)));
    return {};
  };
  Result<void> added;
  if (!options_.otlp.endpoint.empty()) {
    added = add(make_otlp_receiver(options_.otlp, clock_));
    if (added && options_.otlp.spans) {
      added = add(make_otlp_spans(options_.otlp));
    }
  }
  if (added && !options_.webhook.url.empty()) {
    added = add(make_webhook(options_.webhook, clock_));
  }
  if (added && options_.host_log != HostLog::kNone) {
    added = add(make_host_log(options_.host_log));
  }
  if (added && options_.kubernetes_events) {
    added = add(make_pod_events(options_.trace.identity, clock_));
  }
  if (!added) {
    return added;
  }
  if (options_.otlp.endpoint.empty() || options_.otlp.metrics_interval.count() == 0) {
    return {};
  }
  auto metrics = OtlpMetrics::start(options_.otlp, [this] { return figures(); });
  if (!metrics) {
    return std::unexpected(metrics.error());
  }
  otlp_metrics_ = std::move(*metrics);
  return {};
}

OtlpFigures Agent::figures() {
  refresh();
  OtlpFigures out;
  out.containers = book_.running();
  out.incidents = book_.incidents();
  out.unix_ns = clock_.unix_ns();
  const std::lock_guard lock(mutex_);
  out.start_unix_ns = status_.start_unix_ns;
  out.host = host_;
  return out;
}

void Agent::reload() {
  auto read = read_agent(argc_, argv_);
  if (!read) {
    spdlog::error("reload: nothing changes: {}", escape_terminal(read.error().message()));
    return;
  }
  std::map<std::string, std::string> all = options_.values;
  all.insert(read->values.begin(), read->values.end());
  for (const auto& [key, value] : all) {
    const auto text = [&](const AgentOptions& options) {
      const auto found = options.values.find(key);
      return found == options.values.end() ? std::optional<std::string>() : std::optional(found->second);
    };
    if (text(*read) != text(options_)) {
      spdlog::info("reload: {} {}", key, is_reloadable(key) ? "has changed" : "takes effect at the next start only");
    }
  }
  spool_->set(read->spool);
  book_.set(read->metrics);
  // A server that leaves the host never loses its token: check_http_settings saw to that for the address of then.
  HttpSettings http = options_.http;
  http.token = read->http.token;
  if (auto checked = check_http_settings(http); !checked) {
    spdlog::error("reload: the token stays: {}", escape_terminal(checked.error().message()));
  } else {
    server_->set_token(read->http.token);
  }
  for (auto& [key, value] : read->values) {
    if (is_reloadable(key)) {
      options_.values[key] = value;
    }
  }
  std::erase_if(options_.values,
                [&](const auto& one) { return is_reloadable(one.first) && !read->values.contains(one.first); });
  spdlog::info("reloaded");
}

// Who does not take incidents, by name alone: the reasons change from try to try.
std::string Agent::delivery_trouble() const {
  std::string out;
  for (const auto& delivery : deliveries_) {
    const TargetStatus one = delivery->status();
    if (!one.last_error.empty() && one.queue > 0) {
      out += (out.empty() ? "" : ", ") + one.name;
    }
  }
  return out;
}

void Agent::follow() {
  const auto recording = session_->recording();
  const IncidentSpool::Status spool = spool_->status();
  const std::string trouble = !spool.last_error.empty() ? spool.last_error : recording ? recording->stopped : "";
  std::string delivery = delivery_trouble();
  if (delivery != told_delivery_) {
    told_delivery_ = std::move(delivery);
    if (told_delivery_.empty()) {
      spdlog::info("all receivers take incidents");
    } else {
      spdlog::error("incidents wait in the spool: {}", escape_terminal(told_delivery_));
    }
  }
  if (trouble != told_trouble_) {
    told_trouble_ = trouble;
    if (trouble.empty()) {
      spdlog::info("the disk takes incidents again");
    } else {
      spdlog::error("in trouble, watching goes on: {}", escape_terminal(trouble));
    }
  }
  // The counters of loss are BPF maps: the threads that show them may not read them.
  std::optional<LossCount> lost;
  if (const auto now = steady_clock::now(); now - loss_read_ >= milliseconds(100)) {
    loss_read_ = now;
    lost = session_->collector().loss();
  }
  const std::lock_guard lock(mutex_);
  status_.events = session_->collector().totals().events;
  status_.lost = lost.value_or(status_.lost);
}

int Agent::run() {
  tame_allocator();
  raise_descriptors();
  auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    return fail(tree.error(), kExitUnsupported);
  }
  tree_ = std::move(*tree);
  figures_.emplace(*tree_);
  feed_ = std::make_unique<LiveFeed>(
      clock_, [this](const UsageBoard::News& news) { return figures_->read_moved(news); },
      [this] { return live_head(); });
  live_api_ = std::make_unique<LiveApi>(*feed_);
  if (options_.breaking.is_on()) {
    auto policy = BreakPolicy::start(options_.breaking, options_.trace.cmdlines, clock_);
    if (!policy) {
      return fail(policy.error());
    }
    policy_ = std::move(*policy);
  }
  SessionHooks hooks;
  hooks.observe = [this](std::span<const Event> events) {
    book_.note(events);
    feed_->note(events);
    if (policy_) {
      policy_->observe(events);
    }
  };
  if (policy_) {
    hooks.extra = [this] { return policy_->lost_hits(); };
  }
  hooks.recorded = [this](const Incident& incident) { return !policy_ || incident.kind != IncidentKind::kBreakpoint; };
  hooks.probe = [this](LoadedProbe& probe) { return policy_ ? policy_->take(probe) : Result<void>{}; };
  // Threads that start later have no more than what is left then.
  hooks.attached = [this](const Features& features) -> Result<void> {
    if (policy_) {
      policy_->attached(features);
    }
    const bool kprobes = features.charge.name.find("kprobe") != std::string::npos;
    const KeptPrivileges kept{.kprobes = kprobes, .users_podman = options_.trace.identity.users_podman};
    if (auto dropped = options_.keep_privileges ? Result<void>{} : drop_privileges(kept); !dropped) {
      return dropped;
    }
    restrict_calls(kprobes ? ThreadDuty::kCollectKprobes : ThreadDuty::kCollect);
    return {};
  };
  host_ = read_host();
  status_.not_ready = "the hooks are being attached";
  status_.start_unix_ns = clock_.unix_ns();
  if (auto served = serve(); !served) {
    otlp_metrics_.reset();  // its thread uses what goes before it
    return fail(served.error());
  }
  auto session = Session::open(
      options_.trace, *tree_, [this](const Incident& incident) { tell(incident); }, options_.record, hooks);
  if (!session) {
    server_.reset();
    otlp_metrics_.reset();
    return fail(session.error().error, session.error().exit_code);
  }
  session_ = std::move(*session);
  const Features& features = session_->features();
  book_.set(measured_stalls(features));
  return_free_memory();
  figures_->attach(session_->resolver());
  sampler_ =
      std::make_unique<AgentSampler>(AgentSampler::Work{.sample = [this] { sample(); },
                                                        .watched = [this] { return server_->is_usage_wanted(); },
                                                        .tick = [this] { server_->publish_usage(feed_->tick()); }},
                                     MemoryBudget(budget_of(options_), flight_most_), *flight_room_, clock_);
  refresher_ = sampler_.get();
  {
    const std::lock_guard lock(mutex_);
    status_.ready = true;
    status_.charge_tier = features.charge.name;
    status_.oom_tier = features.oom.name;
    status_.kernel = features.kernel;
    live_ = session_.get();
  }
  spdlog::info("agent · {} · cgroup v{} · HTTP on {}{}", describe_tiers(features), tree_->version(),
               escape_terminal(options_.http.listen),
               server_->port() == 0 ? "" : " (port " + std::to_string(server_->port()) + ")");
  tell_systemd("READY=1");

  while (!stop_requested()) {
    if (take_reload_request()) {
      reload();
    }
    if (session_->collector().turn(milliseconds(100)) == EventSource::Status::kEnd) {
      break;
    }
    follow();
    act();
  }
  tell_systemd("STOPPING=1");
  ignore_result(session_->collector().turn(milliseconds(0)));
  act();
  const auto end_policy = [this] {
    if (policy_) {
      publish_and_record(policy_->finish());
    }
  };
  end_policy();
  ignore_result(session_->collector().turn(milliseconds(0)));  // hits that the policy found at its end
  const auto recorded = session_->finish(end_policy);          // and those of hits that the collector held until now
  const bool written = spool_->flush(std::chrono::seconds(5));
  sampler_->stop();
  server_.reset();  // before the others: it tells of them
  otlp_metrics_.reset();
  deliveries_.clear();
  const Totals& totals = session_->collector().totals();
  spdlog::info("seen {} OOMs ({} killed), {} bursts; lost: {}", totals.ooms, totals.victims, totals.bursts,
               describe(session_->collector().loss()));
  if (!recorded) {
    spdlog::error("the recording could not be ended: {}", escape_terminal(recorded.error().message()));
  }
  return recorded && written ? kExitOk : kExitFailure;
}

}  // namespace

int agent(AgentOptions options, int argc, char** argv) {
  install_stop_signals();
  install_reload_signal();
  return Agent(std::move(options), argc, argv).run();
}

}  // namespace memcrest
