// SPDX-License-Identifier: Apache-2.0
#include "incident/oom_assembler.h"

#include <algorithm>
#include <csignal>
#include <ranges>

#include "incident/log_report.h"
#include "incident/saturating.h"
#include "util/units.h"

namespace memcrest {
namespace {

// oom_kill_process and the mark_victim that it leads to follow each other within the same call.
constexpr std::uint64_t kSameCallNs = 1000 * kMillisecond;
// A process that was marked twice is the same death; a pid with the same start time cannot come back later than this.
constexpr std::uint64_t kToldNs = 600'000 * kMillisecond;
constexpr std::size_t kMaxTold = 16384;
constexpr std::size_t kMaxControls = 64;
constexpr std::size_t kMaxLogs = 256;
// A report of the kernel log that no hook's record has met by then stands for itself.
constexpr std::uint64_t kLogAloneNs = 1000 * kMillisecond;
constexpr std::size_t kMaxCounts = 65536;
// Charges are made in batches of 64 pages, and one that failed is taken back before the killer runs: at that moment
// usage stands below the limit by up to a batch for each thread that is trying, and one for each CPU's stock.
constexpr std::uint64_t kBatchPages = 64;
constexpr std::uint64_t kThreads = 8;

std::uint64_t slack(std::uint64_t limit, std::uint64_t page_size) {
  return std::min(std::max(kThreads * kBatchPages * page_size, limit / 64), limit / 2);
}

bool is_full(const MemcgState& memcg, std::uint64_t page_size) {
  return memcg.limit_bytes && memcg.usage_bytes + slack(*memcg.limit_bytes, page_size) >= *memcg.limit_bytes;
}

// cgroup v1: memory and swap together stand at their limit.
bool is_memsw_full(const MemcgState& memcg, std::uint64_t page_size) {
  return memcg.swap_limit_bytes &&
         memcg.swap_usage_bytes + slack(*memcg.swap_limit_bytes, page_size) >= *memcg.swap_limit_bytes;
}

// Whether this victim dies with all others of its cgroup: memory.oom.group is set at or below the limit that was hit.
bool is_group(const VictimEvent& event, const std::optional<MemcgState>& hit) {
  for (const MemcgState& memcg : event.chain.entries) {
    if (memcg.oom_group) {
      return true;
    }
    if (hit && memcg.cgroup_id == hit->cgroup_id) {
      return false;
    }
  }
  return false;
}

const MemcgState* find_in(const MemcgChain& chain, std::uint64_t cgroup_id) {
  const auto found = std::ranges::find(chain.entries, cgroup_id, &MemcgState::cgroup_id);
  return found == chain.entries.end() ? nullptr : &*found;
}

}  // namespace

bool memsw_comes_first(const MemcgState& memcg) {
  if (!memcg.swap_limit_bytes || !memcg.limit_bytes) {
    return memcg.swap_limit_bytes.has_value();
  }
  const std::uint64_t apart = saturating_sub(*memcg.swap_limit_bytes, *memcg.limit_bytes);
  return saturating_sub(*memcg.swap_limit_bytes, memcg.swap_usage_bytes) < apart / 2;
}

OomAssembler::OomAssembler(OomSettings settings) : settings_(settings) {}

void OomAssembler::feed(const OomEvent& event) {
  if (controls_.size() >= kMaxControls) {
    controls_.erase(controls_.begin());
  }
  controls_.push_back(event);
}

void OomAssembler::feed(const VictimEvent& event) {
  if (known(event.task.process, event.time_ns)) {
    return;
  }
  // The SIGKILL comes before the mark: what looked like another victim's sibling is a victim of its own.
  for (Open& open : open_) {
    std::erase_if(open.finding.siblings,
                  [&](const TaskInfo& sibling) { return sibling.process == event.task.process; });
  }
  for (Open& open : open_) {
    const bool same_call = open.finding.trigger && open.finding.trigger->tid == event.trigger.tid &&
                           event.time_ns <= open.last_ns + settle_ns(open.finding);
    if (open.finding.group_kill && same_call) {
      open.finding.victims.push_back(event);
      open.last_ns = std::max(open.last_ns, event.time_ns);
      return;
    }
  }
  OomFinding finding;
  finding.time_ns = event.time_ns;
  finding.victim_cgroup_id = event.task.cgroup_id;
  finding.trigger = event.trigger;
  if (!event.chain.entries.empty()) {
    finding.own = event.chain.entries.front();
  }
  finding.sysrq = event.sysrq;
  finding.limit_lowered = event.limit_lowered;
  take_control(finding, event);
  if (finding.control) {
    finding.order = finding.control->order;
    finding.gfp_mask = finding.control->gfp_mask;
    finding.sysrq = finding.sysrq || finding.control->order == -1;
  }
  locate(finding, event);
  finding.memsw_hit = settings_.memsw && finding.hit && is_memsw_full(*finding.hit, settings_.page_size) &&
                      (!is_full(*finding.hit, settings_.page_size) || memsw_comes_first(*finding.hit));
  finding.group_kill = is_group(event, finding.hit);
  finding.victims.push_back(event);
  open_.push_back({std::move(finding), event.time_ns});
}

// One thread kills once at a time: its last call before the mark is this one, and what it left before is stale (a call
// that chose a process that was dying already marks it again, and is not told again).
void OomAssembler::take_control(OomFinding& finding, const VictimEvent& event) {
  for (const OomEvent& one : controls_) {
    if (one.trigger.tid == event.trigger.tid && one.time_ns <= event.time_ns &&
        event.time_ns - one.time_ns <= kSameCallNs && (!finding.control || one.time_ns >= finding.control->time_ns)) {
      finding.control = one;
    }
  }
  if (finding.control) {
    finding.time_ns = finding.control->time_ns;
    std::erase_if(controls_, [&](const OomEvent& one) {
      return one.trigger.tid == event.trigger.tid && one.time_ns <= event.time_ns;
    });
  }
}

// CLONE_VM: the kernel also kills whoever shares the victim's memory, without marking it.
void OomAssembler::feed(const KillEvent& event) {
  if (!event.from_kernel || event.signal != SIGKILL) {
    return;
  }
  // The newest first: a thread may kill again while its last kill is still open.
  for (Open& open : std::views::reverse(open_)) {
    const OomFinding& finding = open.finding;
    if (!finding.trigger || finding.trigger->tid != event.sender.tid || event.time_ns < finding.time_ns ||
        event.time_ns > open.last_ns + settle_ns(finding) || event.time_ns >= open.trigger_end_ns) {
      continue;
    }
    const auto same = [&](const auto& process) { return process == event.target.process; };
    const bool victim =
        std::ranges::any_of(finding.victims, [&](const VictimEvent& one) { return same(one.task.process); });
    const bool sibling = std::ranges::any_of(finding.siblings, [&](const TaskInfo& one) { return same(one.process); });
    // In a group kill the SIGKILL of the next victim comes before its mark: only what stays unmarked is a sibling.
    if (!victim && !sibling) {
      open.finding.siblings.push_back(event.target);
    }
    return;
  }
}

// The first process of a pid namespace takes all others with it when it ends, by SIGKILLs that look just like the OOM
// killer's (zap_pid_ns_processes). A container whose main process met its limit would seem to lose its helpers to it.
void OomAssembler::feed(const ExitEvent& event) {
  for (Open& open : open_) {
    if (open.finding.trigger && open.finding.trigger->process == event.task.process) {
      open.trigger_end_ns = std::min(open.trigger_end_ns, event.time_ns);
    }
  }
}

bool OomAssembler::known(const ProcessKey& process, std::uint64_t time_ns) {
  if (told_.size() >= kMaxTold) {
    std::vector<std::uint64_t> times;
    times.reserve(told_.size());
    for (const auto& [told, at] : told_) {
      times.push_back(at);
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::ranges::nth_element(times, middle);
    std::erase_if(told_, [&](const auto& one) { return one.second <= *middle; });
  }
  const auto [entry, is_new] = told_.emplace(process, time_ns);
  const bool stale = !is_new && entry->second + kToldNs < time_ns;  // where start times are unknown, a pid comes back
  entry->second = stale ? time_ns : entry->second;
  return !is_new && !stale;
}

void OomAssembler::locate(OomFinding& finding, const VictimEvent& event) {
  const auto scope_of = [&](const MemcgState& hit) {
    return hit.cgroup_id == event.task.cgroup_id ? Scope::kMemcg : Scope::kAncestor;
  };
  if (!finding.control) {
    locate_by_counters(finding, event);
  } else {
    const OomEvent& control = *finding.control;
    switch (control.constraint) {
      case Constraint::kMemcg: {
        const MemcgState* hit = find_in(event.chain, control.memcg_id);
        hit = hit != nullptr ? hit : find_in(control.chain, control.memcg_id);
        if (hit != nullptr) {
          finding.hit = *hit;
          finding.scope = scope_of(*hit);
        } else {
          finding.scope = control.memcg_id == event.task.cgroup_id ? Scope::kMemcg : Scope::kAncestor;
          finding.gaps.emplace_back("the cgroup whose limit was hit could not be read");
        }
        break;
      }
      case Constraint::kCpuset:
        finding.scope = Scope::kCpuset;
        break;
      case Constraint::kMemoryPolicy:
        finding.scope = Scope::kMempolicy;
        break;
      case Constraint::kNone:
        finding.scope = Scope::kHost;
        break;
    }
  }
  if (oom_counts_.size() + event.chain.entries.size() > kMaxCounts) {
    oom_counts_.clear();
  }
  for (const MemcgState& memcg : event.chain.entries) {
    oom_counts_[memcg.serial] = memcg.oom_events;
  }
}

void OomAssembler::note(std::uint64_t serial, std::uint64_t oom_events) {
  if (oom_counts_.size() < kMaxCounts) {
    oom_counts_.try_emplace(serial, oom_events);
  }
}

OomAssembler::Raised OomAssembler::raised(const MemcgState& memcg) const {
  const auto before = oom_counts_.find(memcg.serial);
  if (before == oom_counts_.end()) {
    return memcg.oom_events > 0 ? Raised::kPerhaps : Raised::kNo;
  }
  return memcg.oom_events > before->second ? Raised::kYes : Raised::kNo;
}

// Without oom_control: walk from the victim's cgroup upwards to the limit that is full. A pod's limit is often that of
// its one container, and both are: then the one whose own OOM counter went up, then the one with the least room.
void OomAssembler::locate_by_counters(OomFinding& finding, const VictimEvent& event) {
  if (event.memcg_oom && !*event.memcg_oom) {
    finding.scope = Scope::kHost;
    return;
  }
  const MemcgState* hit = nullptr;
  bool tie = false;
  const MemcgState* guess = nullptr;
  double guess_ratio = 0;
  const auto room = [&](const MemcgState& memcg) {
    const auto memory = memcg.limit_bytes ? saturating_sub(*memcg.limit_bytes, memcg.usage_bytes) : ~0ULL;
    const auto both = settings_.memsw && memcg.swap_limit_bytes
                          ? saturating_sub(*memcg.swap_limit_bytes, memcg.swap_usage_bytes)
                          : ~0ULL;
    return std::min<std::uint64_t>(memory, both);
  };
  for (const MemcgState& memcg : event.chain.entries) {
    const bool memsw_full = settings_.memsw && is_memsw_full(memcg, settings_.page_size);
    if (!memcg.limit_bytes && !memsw_full) {
      continue;
    }
    if (is_full(memcg, settings_.page_size) || memsw_full) {
      const bool better =
          hit == nullptr || raised(memcg) > raised(*hit) || (raised(memcg) == raised(*hit) && room(memcg) < room(*hit));
      tie = hit != nullptr && raised(memcg) <= raised(*hit) ? tie || raised(memcg) == raised(*hit) : false;
      hit = better ? &memcg : hit;
    }
    const double ratio = static_cast<double>(memcg.usage_bytes) /
                             static_cast<double>(std::max<std::uint64_t>(memcg.limit_bytes.value_or(~0ULL), 1)) +
                         (raised(memcg) == Raised::kNo ? 0 : 1000);
    if (guess == nullptr || ratio > guess_ratio) {
      guess = &memcg;
      guess_ratio = ratio;
    }
  }
  if (tie) {
    finding.gaps.emplace_back("more than one limit was full at the kill: the one with the least room is named");
  }
  if (hit == nullptr && event.memcg_oom) {
    hit = guess;
    finding.gaps.emplace_back("no limit was full at the kill: the one that was hit is inferred");
  }
  if (hit == nullptr) {
    finding.scope = event.memcg_oom ? Scope::kMemcg : Scope::kHost;
    if (!event.memcg_oom) {
      finding.gaps.emplace_back("host scope is inferred: no memory cgroup of the victim was full");
    }
    if (event.chain.total > event.chain.entries.size()) {
      finding.gaps.emplace_back(
          "not all cgroups above the victim's could be read: one of them may be the one that was full");
    }
    return;
  }
  finding.hit = *hit;
  finding.scope = hit->cgroup_id == event.task.cgroup_id ? Scope::kMemcg : Scope::kAncestor;
}

std::uint64_t OomAssembler::settle_ns(const OomFinding& finding) const {
  return static_cast<std::uint64_t>((finding.group_kill ? settings_.group_settle : settings_.settle).count()) *
         kMillisecond;
}

std::uint64_t OomAssembler::due_ns(const Open& open) const {
  const std::uint64_t settled = open.last_ns + settle_ns(open.finding);
  const auto log_wait = open.finding.scope == Scope::kHost ? settings_.host_log_wait
                        : open.finding.group_kill          ? settings_.group_log_wait
                                                           : settings_.log_wait;
  const auto log_ns = static_cast<std::uint64_t>(log_wait.count()) * kMillisecond;
  return open.finding.log || log_ns == 0 ? settled : std::max(settled, open.last_ns + log_ns);
}

void OomAssembler::feed(const LogOomEvent& event) {
  if (logs_.size() >= kMaxLogs) {
    logs_.erase(logs_.begin());
  }
  logs_.push_back({event, event.time_ns});
  for (Open& open : open_) {
    join_log(open);
  }
}

void OomAssembler::join_log(Open& open) {
  const auto found =
      std::ranges::find_if(logs_, [&](const PendingLog& log) { return is_about(log.event, open.finding.victims); });
  if (found == logs_.end()) {
    return;
  }
  if (!open.finding.log) {
    add_report(open.finding, found->event);
  }
  logs_.erase(found);
}

bool OomAssembler::told_pid(std::uint32_t pid) const {
  return std::ranges::any_of(told_, [&](const auto& one) { return one.first.tgid == pid; });
}

// A report that no hook's victim met in time: the log is all there is, or a victim's record was lost.
void OomAssembler::take_unmatched_logs(std::uint64_t now_ns, std::vector<OomFinding>& out) {
  const std::uint64_t patience = settings_.log_wait.count() == 0 ? 0 : kLogAloneNs;
  for (PendingLog& log : logs_) {
    if (now_ns - log.since_ns < patience || log.since_ns > now_ns) {
      continue;
    }
    log.since_ns = 0;  // leaves below
    // A report that killed nobody is no kill; and where hooks look, a victim that the log left out is told by them.
    if (log.event.killed_nobody || (patience > 0 && log.event.victims.empty())) {
      continue;
    }
    // What was told already, and joined nothing any more, is no second OOM.
    if (std::ranges::any_of(log.event.victims, [&](const LogVictim& one) { return told_pid(one.pid); })) {
      continue;
    }
    out.push_back(finding_of(log.event));
    if (patience > 0) {
      out.back().gaps.emplace_back("only the kernel log told of this OOM: the hook's record of it was lost");
    }
  }
  std::erase_if(logs_, [](const PendingLog& log) { return log.since_ns == 0; });
}

std::vector<OomFinding> OomAssembler::take(std::uint64_t now_ns) {
  std::vector<OomFinding> out;
  std::vector<Open> still;
  for (Open& open : open_) {
    join_log(open);
    if (now_ns < due_ns(open)) {
      still.push_back(std::move(open));
      continue;
    }
    std::erase_if(open.finding.siblings, [&](const TaskInfo& sibling) {
      return std::ranges::any_of(open.finding.victims,
                                 [&](const VictimEvent& one) { return one.task.process == sibling.process; });
    });
    if (!open.finding.log && !open.finding.control) {
      open.finding.gaps.emplace_back(
          settings_.log_wait.count() > 0
              ? "the kernel log did not report this OOM in time: order and gfp mask are not known"
              : "neither the OOM killer nor the kernel log is read: order and gfp mask are not known");
      if (open.finding.scope == Scope::kHost) {
        open.finding.gaps.emplace_back("whether a cpuset or a memory policy was the limit is not known");
      }
    }
    out.push_back(std::move(open.finding));
  }
  open_ = std::move(still);
  take_unmatched_logs(now_ns, out);
  std::erase_if(controls_, [&](const OomEvent& one) { return one.time_ns + kSameCallNs < now_ns; });
  return out;
}

std::optional<std::uint64_t> OomAssembler::deadline() const {
  std::optional<std::uint64_t> out;
  for (const Open& open : open_) {
    const std::uint64_t at = due_ns(open);
    out = out ? std::min(*out, at) : at;
  }
  return out;
}

}  // namespace memcrest
