// SPDX-License-Identifier: Apache-2.0
#include "app/session.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "app/exit_codes.h"
#include "app/recorded_settings.h"
#include "event/observed_source.h"
#include "export/json.h"
#include "probe/kallsyms.h"
#include "probe/kernel_log_source.h"
#include "util/fd.h"
#include "util/kernel_symbols.h"

namespace memcrest {
namespace {

Host read_host(const SystemRoot& root, const Features& features) {
  Host host;
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) == 0) {
    host.name = name;
  }
  host.kernel = features.kernel;
  if (auto boot_id = read_file(root.proc + "/sys/kernel/random/boot_id")) {
    host.boot_id = boot_id->substr(0, boot_id->find('\n'));
  }
  return host;
}

std::optional<std::uint64_t> read_total_memory(const SystemRoot& root) {
  const auto text = read_file(root.proc + "/meminfo");
  constexpr std::string_view kKey = "MemTotal:";
  if (!text || !text->starts_with(kKey)) {
    return std::nullopt;
  }
  const char* at = text->data() + text->find_first_not_of(' ', kKey.size());
  std::uint64_t kib = 0;
  if (std::from_chars(at, text->data() + text->size(), kib).ec != std::errc{}) {
    return std::nullopt;
  }
  return kib * 1024;
}

// The addresses of a stack are those to which calls return, which may lie behind the end of the function.
std::vector<std::string> functions_at(const SystemRoot& root, std::vector<std::uint64_t> addresses) {
  for (std::uint64_t& address : addresses) {
    --address;
  }
  return kernel_function_names(root.proc, addresses);
}

std::string missing_privileges(const Features& features) {
  std::string out;
  for (const CapabilityStatus& one : features.capabilities) {
    if (one.required && !one.held) {
      out += (out.empty() ? "" : "; ") + one.name + " is missing: " + one.consequence;
    }
  }
  return out +
         ". Run it as root, or see 'memcrest check'; without privileges '--charge-tier sampled --oom-tier polling' "
         "sees a little";
}

// As the best hook was refused, unless it was not wanted.
std::string why_no_program(const Features& features) {
  if (!features.lower.bpf) {
    return features.lower.no_bpf_reason;
  }
  const auto refused = std::ranges::find(features.hooks, HookState::kRefused, &Hook::state);
  return refused == features.hooks.end() ? "not wanted"
                                         : refused->kind + "/" + refused->target + ": " + refused->reason;
}

constexpr std::string_view kTierSampled = "sampled";
constexpr std::string_view kTierMarkVictim = "mark_victim";
constexpr std::string_view kTierKernelLog = "kmsg";
constexpr std::string_view kTierPolling = "polling";
// The log is read as soon as the killer has written it, but its reader waits for a group kill's next line.
constexpr std::chrono::milliseconds kLogWait{80};
constexpr std::chrono::milliseconds kGroupLogWait = KernelLogSettings{}.group_settle + kLogWait;
constexpr std::chrono::milliseconds kHostLogWait{1000};
// A huge page of 2 MiB is cleared in well under this, also on a busy machine.
constexpr std::chrono::milliseconds kForeignWait{100};
bool runs_role(const Features& features, std::string_view role) {
  return std::ranges::any_of(features.hooks,
                             [&](const Hook& hook) { return hook.role == role && features.runs(hook.program); });
}

}  // namespace

// BPF as far as the kernel allows it. The hooks are attached when this returns.
std::expected<void, Session::Failure> Session::open_probe(const TraceOptions& options) {
  const auto failed = [](Error error, int code) { return std::unexpected(Failure{std::move(error), code}); };
  LoadSettings load;
  load.step_bytes = options.step_bytes;
  load.critical_ring_bytes = options.critical_ring_bytes;
  load.bulk_ring_bytes = options.bulk_ring_bytes;
  load.tiers = {options.charge_tier, options.oom_tier};
  load.copy_stacks = options.unwind;
  load.breakpoints = options.breakpoints;
  auto probe = LoadedProbe::load(load, features_);
  if (!probe) {
    return failed(probe.error(), kExitUnsupported);
  }
  if (!*probe) {
    return {};  // none of the programs may be loaded: what works without is left
  }
  LoadedProbe& loaded = **probe;
  auto source = RingSource::open(std::move(*probe), find_kernel_functions(root_.proc), clock_, root_);
  if (!source) {
    return failed(source.error(), kExitFailure);
  }
  if (auto attached = loaded.attach(features_); !attached) {
    return failed(attached.error(), kExitUnsupported);
  }
  probe_ = &loaded;
  sources_.push_back(std::move(*source));
  return {};
}

std::expected<void, Session::Failure> Session::open_sources(const TraceOptions& options) {
  const auto failed = [](Error error, int code) { return std::unexpected(Failure{std::move(error), code}); };
  if (!options.btf_file.empty() && !features_.btf) {
    return failed({"--btf", "", 0, features_.btf_error}, kExitUnsupported);
  }
  if (auto chosen = choose_tiers(features_, {options.charge_tier, options.oom_tier}); !chosen) {
    return failed(chosen.error(), kExitUnsupported);
  }
  // Missing privileges are a mistake to be told, a kernel without BPF is a fact to live with.
  const bool asked = options.charge_tier && options.oom_tier;
  if (!features_.can_load() && features_.btf && !asked) {
    return failed({"attach to the kernel", "", 0, missing_privileges(features_)}, kExitUnsupported);
  }
  if (!features_.programs.empty()) {
    if (auto opened = open_probe(options); !opened) {
      return std::unexpected(opened.error());
    }
  }
  if (auto opened = open_kernel_log(); !opened) {
    return std::unexpected(opened.error());
  }
  return open_polling(options);
}

// Alone, or beside hooks that cannot see the OOM killer's own view. Without it those hooks still tell who died.
std::expected<void, Session::Failure> Session::open_kernel_log() {
  const std::string& tier = features_.oom.name;
  if (!features_.lower.kernel_log || (tier != kTierMarkVictim && tier != kTierKernelLog)) {
    return {};
  }
  KernelLogSettings settings;
  settings.page_size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  auto log = KernelLogSource::open(clock_, settings, root_);
  if (!log && tier == kTierKernelLog) {
    return std::unexpected(Failure{log.error(), kExitUnsupported});
  }
  if (log) {
    sources_.push_back(std::move(*log));
    log_joins_ = tier == kTierMarkVictim;
  }
  return {};
}

// What no hook shows: all of it on the lowest rungs, and tasks that hang on cgroup v1 on any.
std::expected<void, Session::Failure> Session::open_polling(const TraceOptions& options) {
  PollingSettings settings;
  settings.usage = features_.charge.name == kTierSampled;
  settings.usage_poll.step_bytes = options.step_bytes;
  settings.oom_counts = features_.oom.name == kTierPolling;
  settings.lifecycle = !runs_role(features_, "mkdir") || !runs_role(features_, "rmdir");
  settings.stuck = tree_->version() == 1;
  if (!settings.usage && !settings.oom_counts && !settings.lifecycle && !settings.stuck) {
    return {};
  }
  auto source = PollingSource::open(*tree_, clock_, root_, settings);
  if (!source) {
    return std::unexpected(Failure{source.error(), kExitFailure});
  }
  polling_ = source->get();
  sources_.push_back(std::move(*source));
  return {};
}

std::optional<std::uint64_t> Session::unseen_kills() const {
  return polling_ != nullptr && features_.oom.name == kTierPolling ? polling_->gone_unread() : std::nullopt;
}

std::expected<std::unique_ptr<Session>, Session::Failure> Session::open(const TraceOptions& options,
                                                                        const CgroupTree& tree, Collector::Sink sink,
                                                                        const RecordOptions& record,
                                                                        const SessionHooks& hooks) {
  const auto failed = [](Error error, int code) { return std::unexpected(Failure{std::move(error), code}); };
  std::unique_ptr<Session> out(new Session());
  out->tree_ = std::make_unique<CgroupTree>(tree);
  out->features_ = probe_features(out->root_, {.btf_file = options.btf_file, .disabled = options.disabled_hooks});
  for (const std::string& name : options.disabled_hooks) {
    if (out->features_.hook(name) == nullptr) {
      return failed({"--disable-hook", name, 0, "no such hook; 'memcrest check' lists them"}, kExitUsage);
    }
  }
  if (auto opened = out->open_sources(options); !opened) {
    return std::unexpected(opened.error());
  }
  if (hooks.probe && out->probe_ != nullptr) {
    if (auto done = hooks.probe(*out->probe_); !done) {
      return failed(done.error(), kExitFailure);
    }
  }
  if (hooks.attached) {
    if (auto done = hooks.attached(out->features_); !done) {
      return failed(done.error(), kExitFailure);
    }
  }
  auto resolver = resolver_settings(options.identity);
  if (!resolver) {
    return failed(resolver.error(), kExitUsage);
  }
  resolver->follow_events = true;
  out->resolver_ = std::make_unique<Resolver>(*out->tree_, out->clock_, *resolver);
  out->resolver_->scan();

  CollectorSettings settings;
  settings.bursts.min_bytes = options.burst_min_bytes;
  settings.bursts.window = options.burst_window;
  settings.charge_tier = out->features_.charge.name;
  const bool batched = settings.charge_tier.starts_with("lru");
  settings.bursts.foreign_wait = batched ? kForeignWait : std::chrono::milliseconds(0);
  if (out->features_.programs.empty()) {
    settings.standing_gaps.push_back("no BPF program runs: " + why_no_program(out->features_));
  }
  if (out->features_.charge.name == kTierSampled) {
    settings.standing_gaps.emplace_back("usage was sampled, not seen at each charge: what was short may be missing");
  }
  const bool by_hook = out->features_.oom.name != kTierKernelLog && out->features_.oom.name != kTierPolling;
  if (by_hook && !runs_role(out->features_, "signal")) {
    settings.standing_gaps.emplace_back("processes that died with a victim since they shared its memory are not seen");
  }
  settings.oom_tier = out->features_.oom.name + (out->log_joins_ ? "+kmsg" : "");
  settings.ooms.log_wait = out->log_joins_ ? kLogWait : std::chrono::milliseconds(0);
  settings.ooms.group_log_wait = out->log_joins_ ? kGroupLogWait : std::chrono::milliseconds(0);
  settings.ooms.host_log_wait = out->log_joins_ ? kHostLogWait : std::chrono::milliseconds(0);
  settings.ooms.memsw = tree.version() == 1;
  settings.ooms.page_size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  settings.stalls_are_seen = runs_role(out->features_, "reclaim_end");
  settings.throttle_is_seen = runs_role(out->features_, "throttle_end");
  settings.ends_are_told =
      runs_role(out->features_, "victim") && runs_role(out->features_, "signal") && runs_role(out->features_, "exit");
  settings.files = files_of(*out->tree_);
  settings.host = read_host(out->root_, out->features_);
  settings.host_memory_bytes = read_total_memory(out->root_);
  const Tier& charge = out->features_.charge;
  settings.falls_are_seen = charge.uses("on_page_counter_uncharge") || charge.uses("on_page_counter_uncharge_kprobe");
  if (hooks.extra) {
    out->sources_.push_back(hooks.extra());
  }
  out->merged_ = std::make_unique<MergedSource>(std::move(out->sources_));
  const bool unwinds = options.unwind && out->features_.stack_copies && !out->features_.programs.empty();
  if (unwinds) {
    out->unwinding_ = std::make_unique<UnwindingSource>(*out->merged_, out->root_);
  } else if (options.unwind) {
    settings.standing_gaps.emplace_back(kCannotUnwind);
  }
  EventSource& steps = unwinds ? *out->unwinding_ : static_cast<EventSource&>(*out->merged_);
  out->source_ = std::make_unique<KindSource>(steps, KernelKinds::read(out->root_.proc), batched);
  if (hooks.observe) {
    out->observed_ = std::make_unique<ObservedSource>(*out->source_, hooks.observe);
  }
  SymbolizerSettings symbols;
  symbols.unwinds = options.unwind || !out->features_.stack_copies;
  out->around_ = std::make_unique<LiveSurroundings>(*out->resolver_, *out->tree_, out->clock_, out->root_,
                                                    options.cmdlines, std::move(symbols));
  if (auto recorded = out->record(record, settings, hooks); !recorded) {
    return std::unexpected(recorded.error());
  }
  out->collect(std::move(settings), std::move(sink), hooks.recorded);
  return out;
}

Result<std::unique_ptr<RecordingSink>> Session::open_recording(const RecordOptions& options,
                                                               std::map<std::string, std::string> meta) {
  const auto kernel_functions = [root = root_](const auto& addresses) { return functions_at(root, addresses); };
  if (!options.path.empty()) {
    RecordingSettings file = options.rotation.file;
    file.kernel_functions = kernel_functions;
    file.max_bytes = options.rotation.max_bytes;
    return RecordingWriter::create(options.path, file, meta);
  }
  auto directory = RecordingDirectory::open(options.directory, options.retention);
  if (!directory) {
    return std::unexpected(directory.error());
  }
  if (options.flight) {
    FlightSettings excerpts = options.excerpts;
    excerpts.file.kernel_functions = kernel_functions;
    return std::make_unique<FlightRecorder>(std::move(*directory), excerpts, std::move(meta));
  }
  RotationSettings rotation = options.rotation;
  rotation.file.kernel_functions = kernel_functions;
  return RotatingRecording::create(std::move(*directory), rotation, std::move(meta), around_->now());
}

std::expected<void, Session::Failure> Session::record(const RecordOptions& options, const CollectorSettings& settings,
                                                      const SessionHooks& hooks) {
  if (options.path.empty() && options.directory.empty()) {
    recording_ = hooks.sink ? hooks.sink() : nullptr;
    join_recording();
    return {};
  }
  auto meta = meta_of(settings);
  if (!options.filter.empty()) {
    meta["filter"] = options.filter;
  }
  auto sink = open_recording(options, std::move(meta));
  if (!sink) {
    return std::unexpected(Failure{sink.error(), kExitFailure});
  }
  recording_ = std::move(*sink);
  if (options.wanted) {
    recording_ = std::make_unique<FilteredRecording>(std::move(recording_), options.wanted);
  }
  join_recording();
  return {};
}

void Session::join_recording() {
  if (recording_) {
    recording_source_ = std::make_unique<RecordingSource>(events(), *recording_);
    recording_around_ = std::make_unique<RecordingSurroundings>(*around_, *recording_);
  }
}

void Session::collect(CollectorSettings settings, Collector::Sink sink,
                      std::function<bool(const Incident&)> is_recorded) {
  if (!recording_) {
    collector_ = std::make_unique<Collector>(events(), *around_, std::move(settings), std::move(sink));
    return;
  }
  auto recorded = [recording = recording_.get(), sink = std::move(sink),
                   is_recorded = std::move(is_recorded)](const Incident& incident) {
    sink(incident);  // first: a recording that has to begin waits for the disk
    if (!is_recorded || is_recorded(incident)) {
      recording->add(incident, to_json(incident));
    }
  };
  collector_ =
      std::make_unique<Collector>(*recording_source_, *recording_around_, std::move(settings), std::move(recorded));
}

Result<void> Session::finish(const std::function<void()>& last) {
  if (recording_around_) {
    recording_around_->end();
  }
  collector_->finish();
  if (last) {
    last();
  }
  return recording_ ? recording_->finish() : Result<void>{};
}

void Session::record(const Incident& incident) {
  if (recording_) {
    recording_->add(incident, to_json(incident));
  }
}

std::optional<RecordingSink::Status> Session::recording() const {
  return recording_ ? std::optional(recording_->status()) : std::nullopt;
}

std::string describe_tiers(const Features& features) {
  return "charges " + features.charge.name + " · oom " + features.oom.name;
}

}  // namespace memcrest
