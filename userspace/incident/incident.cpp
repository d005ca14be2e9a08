// SPDX-License-Identifier: Apache-2.0
// The words of the incident's enumerations: they are part of the JSON contract and never change meaning.
#include "memcrest/incident.h"

#include <algorithm>

#include "incident/saturating.h"
#include "memcrest/container_memory.h"

namespace memcrest {

// The return after each switch is for values that no enumerator has: they can only come from a corrupt cast.

const char* to_string(IncidentKind kind) {
  switch (kind) {
    case IncidentKind::kOom:
      return "oom";
    case IncidentKind::kBurst:
      return "burst";
    case IncidentKind::kKill:
      return "kill";
    case IncidentKind::kChargeFailure:
      return "charge_failure";
    case IncidentKind::kBreakpoint:
      return "breakpoint";
  }
  return "oom";
}

const char* to_string(Scope scope) {
  switch (scope) {
    case Scope::kMemcg:
      return "memcg";
    case Scope::kAncestor:
      return "ancestor";
    case Scope::kHost:
      return "host";
    case Scope::kCpuset:
      return "cpuset";
    case Scope::kMempolicy:
      return "mempolicy";
  }
  return "memcg";
}

const char* to_string(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kUnknown:
      return "unknown";
    case MemoryKind::kAnon:
      return "anon";
    case MemoryKind::kHugePage:
      return "thp";
    case MemoryKind::kFile:
      return "file";
    case MemoryKind::kShmem:
      return "shmem";
    case MemoryKind::kSlab:
      return "slab";
    case MemoryKind::kKernelStack:
      return "kernel_stack";
    case MemoryKind::kPageTables:
      return "page_tables";
    case MemoryKind::kSockets:
      return "sockets";
    case MemoryKind::kPipes:
      return "pipes";
    case MemoryKind::kPercpu:
      return "percpu";
    case MemoryKind::kVmalloc:
      return "vmalloc";
    case MemoryKind::kBpf:
      return "bpf";
    case MemoryKind::kHugetlb:
      return "hugetlb";
  }
  return "unknown";
}

const char* to_string(BurstEnd end) {
  switch (end) {
    case BurstEnd::kFell:
      return "fell";
    case BurstEnd::kLevelled:
      return "levelled";
    case BurstEnd::kKilled:
      return "killed";
    case BurstEnd::kRemoved:
      return "removed";
    case BurstEnd::kOpen:
      return "open";
  }
  return "open";
}

const char* to_string(CgroupKind kind) {
  switch (kind) {
    case CgroupKind::kContainer:
      return "container";
    case CgroupKind::kUnit:
      return "unit";
    case CgroupKind::kOther:
      return "cgroup";
  }
  return "cgroup";
}

bool is_no_alarm(const Incident& incident) {
  if (!incident.end || !incident.verdict || incident.verdict->causes.empty()) {
    return false;
  }
  const Cause cause = incident.verdict->causes.front().cause;
  const bool pod = incident.container.pod && incident.container.runtime != Runtime::kPodman;
  return (cause == Cause::kStoppedByRuntime && !pod) || (cause == Cause::kKilledWithin && !incident.end->main_process);
}

bool is_limit_of_pod(const Incident& incident) {
  const Container& container = incident.container;
  if (incident.scope != Scope::kAncestor || !container.pod || container.pod->uid.empty() ||
      container.runtime == Runtime::kPodman) {
    return false;
  }
  // systemd's names of slices have no '-' but between their parts.
  std::string of_slice = container.pod->uid;
  std::ranges::replace(of_slice, '-', '_');
  const std::string& path = incident.limit.cgroup_path;
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.ends_with("pod" + container.pod->uid) || name.ends_with("pod" + of_slice + ".slice");
}

namespace {

// At least: where the cgroup's own usage is not known, what its victims held.
std::uint64_t held_here(const Incident& incident) {
  std::uint64_t out = incident.limit.own_usage_bytes.value_or(0);
  if (!incident.limit.own_usage_bytes) {
    for (const Victim& victim : incident.victims) {
      out =
          saturating_add(out, saturating_add(saturating_add(victim.anon_bytes, victim.file_bytes), victim.shmem_bytes));
    }
  }
  return out;
}

}  // namespace

bool is_own_limit(const Incident& incident) {
  if (incident.scope != Scope::kAncestor) {
    return incident.scope == Scope::kMemcg;
  }
  const Container& container = incident.container;
  if (is_limit_of_pod(incident)) {
    const std::uint64_t used = incident.usage_bytes.value_or(incident.limit.bytes.value_or(0));
    return used > 0 && held_here(incident) >= used - used / 10;
  }
  return !container.id.empty() && incident.limit.cgroup_path.find(container.id) != std::string::npos;
}

const char* to_string(Cause cause) {
  switch (cause) {
    case Cause::kUnknown:
      return "unknown";
    case Cause::kLimitTooSmallForBurst:
      return "limit-too-small-for-burst";
    case Cause::kLeak:
      return "leak";
    case Cause::kGrowthToPlateau:
      return "growth-to-plateau";
    case Cause::kPageCache:
      return "page-cache";
    case Cause::kTmpfs:
      return "tmpfs";
    case Cause::kKernelMemory:
      return "kernel-memory";
    case Cause::kManyProcesses:
      return "many-processes";
    case Cause::kRuntimeHeapVsLimit:
      return "runtime-heap-vs-limit";
    case Cause::kAncestorLimit:
      return "ancestor-limit";
    case Cause::kHostExhausted:
      return "host-exhausted";
    case Cause::kSwapFull:
      return "swap-full";
    case Cause::kCpuset:
      return "cpuset";
    case Cause::kMempolicy:
      return "mempolicy";
    case Cause::kLimitLowered:
      return "limit-lowered";
    case Cause::kAskedFor:
      return "asked-for";
    case Cause::kStoppedByRuntime:
      return "stopped-by-runtime";
    case Cause::kStoppedByServiceManager:
      return "stopped-by-service-manager";
    case Cause::kEarlyOomKiller:
      return "early-oom-killer";
    case Cause::kKilledFromHost:
      return "killed-from-host";
    case Cause::kKilledWithin:
      return "killed-within-container";
    case Cause::kKilledByKernel:
      return "killed-by-kernel";
    case Cause::kCrashed:
      return "crashed";
    case Cause::kAborted:
      return "aborted";
  }
  return "unknown";
}

const char* to_string(CompositionSource source) {
  switch (source) {
    case CompositionSource::kKernelLog:
      return "kernel_log";
    case CompositionSource::kVictims:
      return "victims";
    case CompositionSource::kGrowth:
      return "growth";
  }
  return "victims";
}

bool ended_after(const RuntimeState& state, std::int64_t kill_unix_ns) {
  constexpr std::int64_t kSlackNs = 100'000'000;
  return state.finished_unix_ns && *state.finished_unix_ns >= kill_unix_ns - kSlackNs;
}

}  // namespace memcrest
