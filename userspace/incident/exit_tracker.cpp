// SPDX-License-Identifier: Apache-2.0
#include "incident/exit_tracker.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "incident/saturating.h"
#include "incident/verdict_exit.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxKept = 4096;
constexpr std::uint64_t kKillNs = 60 * kSecond;  // from a SIGKILL to the end: a process can hang in the kernel
constexpr std::uint64_t kAskedNs = 3600 * kSecond;
// From the OOM killer's mark to the SIGKILLs of those who share the victim's memory.
constexpr std::uint64_t kSameOomNs = kSecond;

// Makes room for one more: what is too old goes, and the oldest half where that does not do.
template <typename Map, typename Time>
void make_room(Map& map, std::uint64_t now_ns, std::uint64_t longest_ns, Time time_of) {
  if (map.size() < kMaxKept) {
    return;
  }
  std::erase_if(map, [&](const auto& one) { return saturating_add(time_of(one.second), longest_ns) < now_ns; });
  if (map.size() < kMaxKept) {
    return;
  }
  std::vector<std::uint64_t> times;
  for (const auto& [key, one] : map) {
    times.push_back(time_of(one));
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  const std::uint64_t newest_out = *middle;
  std::erase_if(map, [&](const auto& one) { return time_of(one.second) <= newest_out; });
}

constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::size_t kMaxPending = 64;  // of one cgroup, within one turn
constexpr auto kOfEvent = [](const auto& one) { return one.event.time_ns; };
std::uint32_t signal_of(const ExitEvent& event) { return static_cast<std::uint32_t>(event.exit_code & 0x7f); }
constexpr auto kItself = [](std::uint64_t time_ns) { return time_ns; };

template <typename Map>
std::optional<typename Map::mapped_type> take_from(Map& map, const ProcessKey& process, std::uint64_t now_ns,
                                                   std::uint64_t longest_ns) {
  auto node = map.extract(process);
  if (node.empty() || saturating_add(node.mapped().event.time_ns, longest_ns) < now_ns) {
    return std::nullopt;
  }
  return std::move(node.mapped());
}

}  // namespace

ExitTracker::ExitTracker() : ExitTracker(Settings{}) {}
ExitTracker::ExitTracker(Settings settings) : settings_(settings) {}

void ExitTracker::feed(const KillEvent& event, std::optional<std::uint64_t> usage) {
  const bool kills = event.signal == SIGKILL;
  auto& map = kills ? kills_ : asked_;
  make_room(map, event.time_ns, kills ? kKillNs : kAskedNs, kOfEvent);
  const auto [entry, is_new] = map.try_emplace(event.target.process, Kill{event, usage, event.time_ns});
  if (is_new || kills) {
    return;
  }
  // A second of the same kind from the same program is the same wish; another one begins anew.
  const KillEvent& before = entry->second.event;
  entry->second.last_ns = std::max(entry->second.last_ns, event.time_ns);
  if (before.signal != event.signal || before.sender.comm != event.sender.comm ||
      saturating_add(before.time_ns, kAskedNs) < event.time_ns) {
    entry->second = {event, usage, event.time_ns};
  }
}

void ExitTracker::feed(const VictimEvent& event) {
  make_room(victims_, event.time_ns, kKillNs, kItself);
  victims_.insert_or_assign(event.task.process, event.time_ns);
  make_room(oom_threads_, event.time_ns, kSameOomNs, kItself);
  oom_threads_.insert_or_assign(event.trigger.tid, event.time_ns);
}

// The others ask (SIGTERM, SIGINT, SIGHUP) or are a program's own business (SIGPIPE, SIGUSR1): whoever ends by them was
// not killed, unless it was a killer of user space that asked.
bool ExitTracker::is_fatal(std::uint32_t signal) {
  switch (signal) {
    case SIGKILL:
    case SIGSEGV:
    case SIGABRT:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGSYS:
    case SIGXCPU:
    case SIGXFSZ:
      return true;
    default:
      return false;
  }
}

// Shortly before, and it ended by that or by itself. Whether the sender is what its name says is for others.
bool ExitTracker::was_asked_by_killer(const ExitEvent& event) const {
  const auto asked = asked_.find(event.task.process);
  return asked != asked_.end() && asked->second.event.signal == SIGTERM &&
         is_early_killer(asked->second.event.sender.comm) && (signal_of(event) == 0 || signal_of(event) == SIGTERM) &&
         saturating_add(asked->second.last_ns, kKillNs) >= event.time_ns;
}

void ExitTracker::feed(const ExitEvent& event, std::optional<std::uint64_t> usage) {
  if (!is_fatal(signal_of(event)) && !was_asked_by_killer(event)) {
    asked_.erase(event.task.process);
    return;
  }
  make_room(ended_keys_, event.time_ns, kKillNs, kItself);
  if (!ended_keys_.try_emplace(event.task.process, event.time_ns).second) {
    return;
  }
  if (ended_.size() >= kMaxKept || ++pending_[event.task.cgroup_id] > kMaxPending) {
    ++told_of(event.task.cgroup_id).left_out;
    return;
  }
  ended_.push_back({event, usage});
}

// A victim, or one that shares a victim's memory.
bool ExitTracker::by_oom_killer(const ExitFinding& finding) const {
  if (const auto victim = victims_.find(finding.task.process); victim != victims_.end()) {
    return true;
  }
  if (!finding.kill || !finding.kill->from_kernel) {
    return false;
  }
  const auto killer = oom_threads_.find(finding.kill->sender.tid);
  return killer != oom_threads_.end() &&
         (killer->second > finding.kill->time_ns ? killer->second - finding.kill->time_ns
                                                 : finding.kill->time_ns - killer->second) <= kSameOomNs;
}

ExitTracker::Told& ExitTracker::told_of(std::uint64_t cgroup_id) {
  if (told_.size() >= kMaxKept && !told_.contains(cgroup_id)) {
    const auto oldest = std::ranges::min_element(told_, {}, [](const auto& one) { return one.second.since_ns; });
    told_.erase(oldest);
  }
  return told_[cgroup_id];
}

bool ExitTracker::may_tell(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  const auto one_more = [&](Told& told, std::uint64_t window_ns, std::size_t most) {
    if (told.count == 0 || saturating_add(told.since_ns, window_ns) < time_ns) {
      told.since_ns = time_ns;
      told.count = 0;
    }
    return ++told.count <= most;
  };
  Told& told = told_of(cgroup_id);
  if (one_more(told, static_cast<std::uint64_t>(settings_.window.count()), settings_.per_cgroup) &&
      one_more(in_all_, kMinute, settings_.in_all)) {
    return true;
  }
  ++told.left_out;
  return false;
}

std::uint64_t ExitTracker::take_left_out(std::uint64_t cgroup_id) {
  const auto found = told_.find(cgroup_id);
  return found == told_.end() ? 0 : std::exchange(found->second.left_out, 0);
}

std::vector<ExitFinding> ExitTracker::take(std::uint64_t now_ns) {
  const auto settle = static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.settle).count());
  std::vector<ExitFinding> out;
  std::erase_if(ended_, [&](const End& end) {
    const ExitEvent& event = end.event;
    if (saturating_add(event.time_ns, settle) > now_ns) {
      return false;
    }
    ExitFinding finding{.time_ns = event.time_ns,
                        .task = event.task,
                        .signal = is_fatal(signal_of(event)) ? signal_of(event) : std::uint32_t{SIGTERM},
                        .core_dumped = (event.exit_code & 0x80) != 0};
    finding.usage_bytes = end.usage;
    const auto kill = take_from(kills_, event.task.process, event.time_ns, kKillNs);
    if (kill && finding.signal == SIGKILL) {
      finding.kill = kill->event;
      finding.usage_bytes = kill->usage ? kill->usage : end.usage;
    }
    if (const auto asked = take_from(asked_, event.task.process, event.time_ns, kAskedNs)) {
      if (finding.signal == SIGTERM) {
        finding.kill = asked->event;
        finding.usage_bytes = asked->usage ? asked->usage : end.usage;
      } else {
        finding.asked = asked->event;
      }
    }
    // The kernel ends a pid namespace with its first process.
    const bool went_along = finding.kill && finding.kill->from_kernel && finding.kill->sender.ns_tgid == 1 &&
                            finding.kill->sender.process != event.task.process;
    if (!by_oom_killer(finding) && !went_along) {
      out.push_back(std::move(finding));
    }
    return true;
  });
  pending_.clear();
  for (const End& end : ended_) {
    ++pending_[end.event.task.cgroup_id];
  }
  std::ranges::stable_sort(out, {}, &ExitFinding::time_ns);
  return out;
}

std::optional<std::uint64_t> ExitTracker::deadline() const {
  if (ended_.empty()) {
    return std::nullopt;
  }
  const auto settle = static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.settle).count());
  return saturating_add(std::ranges::min(ended_, {}, kOfEvent).event.time_ns, settle);
}

}  // namespace memcrest
