// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_attributes.h"

#include <algorithm>
#include <limits>

#include "identity/container_filter.h"
#include "util/signal_name.h"
#include "util/units.h"

namespace memcrest {
namespace {

void add_owner(OtlpAttributes& out, const Owner& owner) {
  if (owner.kind == "Deployment") {
    out.text("k8s.deployment.name", owner.name);
  } else if (owner.kind == "StatefulSet") {
    out.text("k8s.statefulset.name", owner.name);
  } else if (owner.kind == "DaemonSet") {
    out.text("k8s.daemonset.name", owner.name);
  } else if (owner.kind == "Job") {
    out.text("k8s.job.name", owner.name);
  } else if (owner.kind == "CronJob") {
    out.text("k8s.cronjob.name", owner.name);
  }
}

}  // namespace

OtlpAttributes& OtlpAttributes::text(std::string_view key, std::string_view value) {
  if (!value.empty()) {
    all_.push_back({std::string(key), std::string(value)});
  }
  return *this;
}

OtlpAttributes& OtlpAttributes::number(std::string_view key, std::uint64_t value) {
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  all_.push_back({std::string(key), static_cast<std::int64_t>(std::min(value, most))});
  return *this;
}

OtlpAttributes& OtlpAttributes::flag(std::string_view key, bool value) {
  all_.push_back({std::string(key), value});
  return *this;
}

OtlpAttributes& OtlpAttributes::texts(std::string_view key, const std::vector<std::string>& values) {
  if (!values.empty()) {
    all_.push_back({std::string(key), values});
  }
  return *this;
}

void add_container(OtlpAttributes& out, const Container& container, const std::string& cgroup_path) {
  if (!container.id.empty()) {
    out.text("container.id", container.id).text("container.name", container.name);
    out.text("container.runtime", to_string(container.runtime));
    // The tag stands after the last ':' behind the last '/'; a digest is no tag.
    const std::string image = container.image.substr(0, container.image.find('@'));
    const auto colon = image.find(':', image.rfind('/') == std::string::npos ? 0 : image.rfind('/'));
    out.text("container.image.name", image.substr(0, colon));
    if (colon != std::string::npos) {
      out.texts("container.image.tags", {image.substr(colon + 1)});
    }
  }
  const std::string pod = pod_name(container);
  if (!pod.empty()) {
    out.text("k8s.pod.name", pod).text("k8s.namespace.name", pod_namespace(container));
    out.text("k8s.container.name", container.name);
  }
  if (container.pod) {
    out.text("k8s.pod.uid", container.pod->uid);
    if (container.pod->owner) {
      add_owner(out, *container.pod->owner);
    }
  }
  out.text("memcrest.cgroup.path", cgroup_path);
}

int severity_of(const Incident& incident) {
  if (is_no_alarm(incident)) {
    return kOtlpInfo;
  }
  switch (incident.kind) {
    case IncidentKind::kOom:
      return kOtlpError;
    case IncidentKind::kKill:  // of a pod it may be an eviction
      return incident.verdict && !incident.verdict->causes.empty() &&
                     incident.verdict->causes.front().cause == Cause::kStoppedByRuntime
                 ? kOtlpWarn
                 : kOtlpError;
    case IncidentKind::kBurst:
    case IncidentKind::kChargeFailure:
    case IncidentKind::kBreakpoint:
      return kOtlpWarn;
  }
  return kOtlpWarn;
}

const char* severity_text(int severity) {
  return severity == kOtlpError ? "ERROR" : severity == kOtlpWarn ? "WARN" : "INFO";
}

std::string body_of(const Incident& incident) {
  std::string out = incident.kind == IncidentKind::kOom && !incident.victims.empty() ? "OOM kill"
                    : incident.kind == IncidentKind::kBurst                          ? "burst of memory"
                                                                                     : to_string(incident.kind);
  for (const Victim& victim : incident.victims) {
    out += (&victim == &incident.victims.front() ? ": killed " : ", ") + victim.comm + "[" +
           std::to_string(victim.pid) + "]";
  }
  if (const auto& end = incident.end) {
    out += ": " + end->comm + "[" + std::to_string(end->pid) + "] ended by " + signal_name(end->signal) +
           (end->sender && !end->by_kernel ? " from " + end->sender->comm + "[" + std::to_string(end->sender->pid) + "]"
                                           : std::string());
  }
  if (incident.burst) {
    out += "; grew from " + format_size(incident.burst->base_bytes) + " to " + format_size(incident.burst->peak_bytes);
  }
  return out;
}

OtlpAttributes attributes_of(const Incident& incident) {
  OtlpAttributes out;
  out.text("memcrest.incident.id", incident.id).text("memcrest.incident.kind", to_string(incident.kind));
  out.text("memcrest.incident.update", incident.update).text("memcrest.incident.scope", to_string(incident.scope));
  out.number("memcrest.memory.limit", incident.limit.bytes).text("memcrest.limit.kind", incident.limit.kind);
  out.text("memcrest.limit.cgroup.path", incident.limit.cgroup_path);
  out.number("memcrest.memory.usage", incident.usage_bytes).number("memcrest.memory.peak", incident.peak_bytes);
  if (!incident.victims.empty()) {
    const Victim& victim = incident.victims.front();
    out.number("process.pid", std::uint64_t{victim.pid}).text("process.executable.name", victim.comm);
    out.text("process.command_line", victim.cmdline).text("process.executable.path", victim.exe);
    out.number("memcrest.incident.victims", std::uint64_t{incident.victims.size()});
  }
  if (const auto& end = incident.end) {
    out.number("process.pid", std::uint64_t{end->pid}).text("process.executable.name", end->comm);
    out.text("process.command_line", end->cmdline).text("process.executable.path", end->exe);
    out.text("memcrest.end.signal", signal_name(end->signal));
    if (end->sender) {
      out.number("memcrest.end.sender.pid", std::uint64_t{end->sender->pid});
      out.text("memcrest.end.sender.name", end->sender->comm);
    }
  }
  if (incident.burst) {
    out.number("memcrest.burst.base", incident.burst->base_bytes);
    out.number("memcrest.burst.peak", incident.burst->peak_bytes);
    out.number("memcrest.burst.growth", incident.burst->growth_bytes);
  }
  out.flag("memcrest.evidence.complete", incident.evidence.complete);
  return out.texts("memcrest.evidence.gaps", incident.evidence.gaps);
}

}  // namespace memcrest
