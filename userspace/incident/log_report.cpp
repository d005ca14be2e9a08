// SPDX-License-Identifier: Apache-2.0
#include "incident/log_report.h"

#include <algorithm>

namespace memcrest {
namespace {

// "/" is 0, "/a/b" is 2.
std::ptrdiff_t depth(const std::string& path) { return path == "/" ? 0 : std::ranges::count(path, '/'); }

std::string last_part(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

Scope scope_of(const LogOomEvent& log) {
  switch (log.constraint.value_or(log.memcg ? Constraint::kMemcg : Constraint::kNone)) {
    case Constraint::kMemcg:
      return log.limit_path == log.victim_path ? Scope::kMemcg : Scope::kAncestor;
    case Constraint::kCpuset:
      return Scope::kCpuset;
    case Constraint::kMemoryPolicy:
      return Scope::kMempolicy;
    case Constraint::kNone:
      return Scope::kHost;
  }
  return Scope::kHost;
}

// The entry of the victim's chain that the log names as the one that was full: as many levels up as its path is
// shorter.
const MemcgState* hit_in(const MemcgChain& chain, const LogOomEvent& log) {
  const auto up = depth(log.victim_path) - depth(log.limit_path);
  if (log.limit_path.empty() || log.victim_path.empty() || up < 0 ||
      static_cast<std::size_t>(up) >= chain.entries.size()) {
    return nullptr;
  }
  const MemcgState& entry = chain.entries[static_cast<std::size_t>(up)];
  return log.limit_path == "/" || entry.name == last_part(log.limit_path) ? &entry : nullptr;
}

MemcgState state_of(const LogOomEvent& log) {
  MemcgState out;
  out.name = last_part(log.limit_path);
  if (log.memory) {
    out.usage_bytes = log.memory->usage_bytes;
    out.limit_bytes = log.memory->limit_bytes;
    out.failcnt = log.memory->failcnt;
  }
  if (const auto& swap = log.memsw ? log.memsw : log.swap) {
    out.swap_usage_bytes = swap->usage_bytes;
    out.swap_limit_bytes = swap->limit_bytes;
  }
  out.oom_group = log.group_kill;
  return out;
}

// Usage stands a little below its limit at the kill: see OomAssembler's batches. The log does not tell the page size.
bool is_memsw_hit(const LogOomEvent& log) {
  const auto full = [](const std::optional<LogCounter>& counter) {
    return counter && counter->limit_bytes &&
           counter->usage_bytes +
                   std::min(std::max<std::uint64_t>(2 << 20, *counter->limit_bytes / 64), *counter->limit_bytes / 2) >=
               *counter->limit_bytes;
  };
  return full(log.memsw) && (!full(log.memory) || memsw_comes_first(state_of(log)));
}

VictimEvent victim_of(const LogVictim& victim, const LogOomEvent& log) {
  VictimEvent out;
  out.time_ns = log.time_ns;
  out.task.process.tgid = victim.pid;
  out.task.tid = victim.pid;
  out.task.comm = victim.comm;
  out.task.thread_comm = victim.comm;
  out.task.uid = victim.uid.value_or(0);
  out.anon_bytes = victim.anon_bytes;
  out.file_bytes = victim.file_bytes;
  out.shmem_bytes = victim.shmem_bytes;
  out.pagetable_bytes = victim.pagetable_bytes.value_or(0);
  out.oom_score_adj = victim.oom_score_adj.value_or(0);
  const auto row = std::ranges::find(log.tasks, victim.pid, &LogTask::tgid);
  out.swap_bytes = row == log.tasks.end() ? 0 : row->swap_bytes;
  return out;
}

}  // namespace

bool is_about(const LogOomEvent& log, const std::vector<VictimEvent>& victims) {
  return std::ranges::any_of(log.victims, [&](const LogVictim& one) {
    return std::ranges::any_of(victims, [&](const VictimEvent& victim) { return victim.task.process.tgid == one.pid; });
  });
}

void add_report(OomFinding& finding, const LogOomEvent& log) {
  finding.log = log;
  finding.victim_path = log.victim_path;
  finding.order = finding.order ? finding.order : log.order;
  finding.gfp_mask = finding.gfp_mask ? finding.gfp_mask : log.gfp_mask;
  finding.sysrq = finding.sysrq || log.order == -1;
  if (finding.control) {
    return;  // the killer's own word comes first
  }
  if (!log.constraint) {
    if (!finding.log_only) {
      finding.gaps.emplace_back(
          "the kernel log tells of the kill alone, without its report: order and gfp mask are not known, nor whether a "
          "cpuset or a memory policy was the limit");
    }
    return;
  }
  finding.scope = scope_of(log);
  if (finding.scope != Scope::kMemcg && finding.scope != Scope::kAncestor) {
    finding.hit.reset();
    finding.gaps.clear();  // they were about finding the limit
    return;
  }
  const MemcgChain* chain = finding.victims.empty() ? nullptr : &finding.victims.front().chain;
  if (const MemcgState* hit = chain != nullptr ? hit_in(*chain, log) : nullptr) {
    finding.hit = *hit;
    finding.gaps.clear();
  } else if (log.memory) {
    finding.hit = state_of(log);
    finding.gaps.clear();
  }
  finding.limit_path = log.limit_path;
  finding.memsw_hit = is_memsw_hit(log);
}

OomFinding finding_of(const LogOomEvent& log) {
  OomFinding out;
  out.time_ns = log.time_ns;
  out.log_only = true;
  out.group_kill = log.group_kill;
  if (log.trigger_pid || !log.trigger_comm.empty()) {
    TaskInfo trigger;
    // The log names the thread; its dump of tasks, where it lists threads at all, tells the process.
    trigger.process.tgid = trigger.tid = log.trigger_pid.value_or(0);
    if (const auto row = std::ranges::find(log.tasks, trigger.tid, &LogTask::pid); row != log.tasks.end()) {
      trigger.process.tgid = row->tgid;
    }
    trigger.comm = trigger.thread_comm = log.trigger_comm;
    out.trigger = std::move(trigger);
  }
  for (const LogVictim& victim : log.victims) {
    out.victims.push_back(victim_of(victim, log));
  }
  add_report(out, log);
  out.gaps.emplace_back("the kernel log does not name processes that died with a victim since they shared its memory");
  if (!log.constraint) {
    out.scope = log.memcg ? Scope::kMemcg : Scope::kHost;
    out.gaps.emplace_back("the kernel log does not say whose limit was hit");
  }
  out.gaps.insert(out.gaps.end(), log.gaps.begin(), log.gaps.end());
  return out;
}

}  // namespace memcrest
