// SPDX-License-Identifier: Apache-2.0
// The public face over a session (the machine's events) or a bare collector (the caller's).
#include "memcrest/monitor.h"

#include "app/exit_codes.h"
#include "app/session.h"
#include "event/observed_source.h"

namespace memcrest {
namespace {

MonitorError::Kind kind_of(int exit_code) {
  return exit_code == kExitUnsupported ? MonitorError::Kind::kPrivileges
         : exit_code == kExitUsage     ? MonitorError::Kind::kSettings
                                       : MonitorError::Kind::kSystem;
}

TraceOptions trace_of(const MonitorOptions& options) {
  TraceOptions out;
  out.step_bytes = options.step_bytes;
  out.burst_min_bytes = options.burst_min_bytes;
  out.burst_window = options.burst_window;
  out.identity.docker_socket = options.docker_socket;
  out.identity.podman_socket = options.podman_socket;
  out.identity.users_podman = options.users_podman;
  out.identity.bundles = options.bundles;
  out.identity.use_kubernetes = options.kubernetes;
  out.charge_tier = options.charge_tier;
  out.oom_tier = options.oom_tier;
  out.critical_ring_bytes = options.critical_ring_bytes;
  out.bulk_ring_bytes = options.bulk_ring_bytes;
  out.cmdlines = options.redact_arguments ? CmdlineDetail::kProgramOnly : CmdlineDetail::kMasked;
  return out;
}

std::optional<MonitorError> check(const MonitorOptions& options) {
  const auto wrong = [](const char* text) { return std::optional(MonitorError{MonitorError::Kind::kSettings, text}); };
  if (options.burst_window < std::chrono::milliseconds(1)) {
    return wrong("burst_window must be at least 1 ms");
  }
  if (options.step_bytes && *options.step_bytes == 0) {
    return wrong("step_bytes must not be 0");
  }
  for (const std::uint64_t bytes : {options.critical_ring_bytes, options.bulk_ring_bytes}) {
    if (bytes < 4096 || (bytes & (bytes - 1)) != 0 || bytes > (1U << 30U)) {
      return wrong("a ring must be a power of two from 4 KiB to 1 GiB");
    }
  }
  return std::nullopt;
}

class MachineMonitor final : public Monitor {
 public:
  explicit MachineMonitor(std::unique_ptr<Session> session) : session_(std::move(session)) {}

  bool turn(std::chrono::milliseconds longest) override {
    return session_->collector().turn(longest) != EventSource::Status::kEnd;
  }
  void finish() override { ignore_result(session_->finish()); }
  [[nodiscard]] LossCount loss() const override { return session_->collector().loss(); }
  [[nodiscard]] std::string charge_tier() const override { return session_->features().charge.name; }
  [[nodiscard]] std::string oom_tier() const override { return session_->features().oom.name; }

 private:
  std::unique_ptr<Session> session_;
};
CollectorSettings settings_of(const MonitorOptions& options) {
  CollectorSettings out;
  out.bursts.min_bytes = options.burst_min_bytes;
  out.bursts.window = options.burst_window;
  out.charge_tier = options.charge_tier.value_or("given");
  out.oom_tier = options.oom_tier.value_or("given");
  return out;
}

class GivenMonitor final : public Monitor {
 public:
  GivenMonitor(EventSource& source, Surroundings& around, const MonitorOptions& options, Sink sink)
      : source_(source, options.observe),
        settings_(settings_of(options)),
        collector_(source_, around, settings_, std::move(sink)) {}

  bool turn(std::chrono::milliseconds longest) override {
    return collector_.turn(longest) != EventSource::Status::kEnd;
  }
  void finish() override { collector_.finish(); }
  [[nodiscard]] LossCount loss() const override { return source_.loss(); }
  [[nodiscard]] std::string charge_tier() const override { return settings_.charge_tier; }
  [[nodiscard]] std::string oom_tier() const override { return settings_.oom_tier; }

 private:
  ObservedSource source_;
  CollectorSettings settings_;
  Collector collector_;
};

}  // namespace

std::expected<std::unique_ptr<Monitor>, MonitorError> Monitor::open(const MonitorOptions& options, Sink sink) {
  if (auto wrong = check(options)) {
    return std::unexpected(std::move(*wrong));
  }
  auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    return std::unexpected(MonitorError{MonitorError::Kind::kPrivileges, tree.error().message()});
  }
  SessionHooks hooks;
  hooks.observe = options.observe;
  auto session = Session::open(trace_of(options), *tree, std::move(sink), {}, hooks);
  if (!session) {
    return std::unexpected(MonitorError{kind_of(session.error().exit_code), session.error().error.message()});
  }
  return std::make_unique<MachineMonitor>(std::move(*session));
}

std::unique_ptr<Monitor> Monitor::over(EventSource& source, Surroundings& around, const MonitorOptions& options,
                                       Sink sink) {
  return std::make_unique<GivenMonitor>(source, around, options, std::move(sink));
}

const char* version() { return MEMCREST_VERSION; }

}  // namespace memcrest
