// SPDX-License-Identifier: Apache-2.0
#include "incident/exit_tracker.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxKept = 4096;
constexpr std::uint64_t kSecond = 1'000'000'000;
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

constexpr auto kOfEvent = [](const KillEvent& one) { return one.time_ns; };
constexpr auto kItself = [](std::uint64_t time_ns) { return time_ns; };

std::optional<KillEvent> take_from(std::map<ProcessKey, KillEvent>& map, const ProcessKey& process,
                                   std::uint64_t now_ns, std::uint64_t longest_ns) {
  auto node = map.extract(process);
  if (node.empty() || saturating_add(node.mapped().time_ns, longest_ns) < now_ns) {
    return std::nullopt;
  }
  return std::move(node.mapped());
}

}  // namespace

ExitTracker::ExitTracker() : ExitTracker(Settings{}) {}
ExitTracker::ExitTracker(Settings settings) : settings_(settings) {}

void ExitTracker::feed(const KillEvent& event) {
  auto& map = event.signal == SIGKILL ? kills_ : asked_;
  make_room(map, event.time_ns, event.signal == SIGKILL ? kKillNs : kAskedNs, kOfEvent);
  map.try_emplace(event.target.process, event);
}

void ExitTracker::feed(const VictimEvent& event) {
  make_room(victims_, event.time_ns, kKillNs, kItself);
  victims_.insert_or_assign(event.task.process, event.time_ns);
  make_room(oom_threads_, event.time_ns, kSameOomNs, kItself);
  oom_threads_.insert_or_assign(event.trigger.tid, event.time_ns);
}

// The others ask (SIGTERM, SIGINT, SIGHUP) or are a program's own business (SIGPIPE, SIGUSR1): whoever ends by them was
// not killed.
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

void ExitTracker::feed(const ExitEvent& event) {
  if (!is_fatal(static_cast<std::uint32_t>(event.exit_code & 0x7f))) {
    asked_.erase(event.task.process);
  } else if (ended_.size() < kMaxKept) {
    ended_.push_back(event);
  }
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

bool ExitTracker::may_tell(ExitFinding& finding) {
  if (told_.size() >= kMaxKept && !told_.contains(finding.task.cgroup_id)) {
    told_.clear();
  }
  Told& told = told_[finding.task.cgroup_id];
  if (saturating_add(told.since_ns, static_cast<std::uint64_t>(settings_.window.count())) < finding.time_ns) {
    told.since_ns = finding.time_ns;
    told.count = 0;
  }
  if (++told.count > settings_.per_cgroup) {
    ++told.left_out;
    return false;
  }
  finding.left_out = std::exchange(told.left_out, 0);
  return true;
}

std::vector<ExitFinding> ExitTracker::take(std::uint64_t now_ns) {
  const auto settle = static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.settle).count());
  std::vector<ExitFinding> out;
  std::erase_if(ended_, [&](const ExitEvent& event) {
    if (saturating_add(event.time_ns, settle) > now_ns) {
      return false;
    }
    ExitFinding finding{.time_ns = event.time_ns,
                        .task = event.task,
                        .signal = static_cast<std::uint32_t>(event.exit_code & 0x7f),
                        .core_dumped = (event.exit_code & 0x80) != 0};
    finding.kill = take_from(kills_, event.task.process, event.time_ns, kKillNs);
    finding.asked = take_from(asked_, event.task.process, event.time_ns, kAskedNs);
    if (finding.signal != SIGKILL) {
      finding.kill.reset();
    }
    // The kernel ends a pid namespace with its first process.
    const bool went_along = finding.kill && finding.kill->from_kernel && finding.kill->sender.ns_tgid == 1 &&
                            finding.kill->sender.process != event.task.process;
    if (!by_oom_killer(finding) && !went_along && may_tell(finding)) {
      out.push_back(std::move(finding));
    }
    return true;
  });
  std::ranges::stable_sort(out, {}, &ExitFinding::time_ns);
  return out;
}

std::optional<std::uint64_t> ExitTracker::deadline() const {
  if (ended_.empty()) {
    return std::nullopt;
  }
  const auto settle = static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.settle).count());
  return saturating_add(std::ranges::min(ended_, {}, &ExitEvent::time_ns).time_ns, settle);
}

}  // namespace memcrest
