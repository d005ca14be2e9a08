// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_reports.h"

#include <algorithm>
#include <utility>

namespace memcrest {
namespace {

constexpr std::size_t kMaxFinished = 64;
constexpr std::uint64_t kQuietNs = 1'000'000'000;

std::uint64_t ns(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(duration).count());
}

}  // namespace

void add_gap(LogOomEvent& event, std::string gap) {
  constexpr std::size_t kMaxGaps = 16;
  if (event.gaps.size() < kMaxGaps && std::ranges::find(event.gaps, gap) == event.gaps.end()) {
    event.gaps.push_back(std::move(gap));
  }
}

bool same_caller(std::string_view a, std::string_view b) { return a.empty() || b.empty() || a == b; }

const LogTask* KernelLogReport::task_of(std::uint32_t pid) const {
  const auto found =
      std::ranges::find_if(event.tasks, [pid](const LogTask& task) { return task.pid == pid || task.tgid == pid; });
  return found == event.tasks.end() ? nullptr : &*found;
}

std::uint32_t KernelLogReport::process_of(std::uint32_t pid) const {
  const auto* task = task_of(pid);
  return task != nullptr && task->tgid != 0 ? task->tgid : pid;
}

KernelLogReports::KernelLogReports(KernelLogSettings settings) : settings_(settings) {}

void KernelLogReports::note_lost(std::uint64_t records) {
  bool told = false;
  for (auto& report : reports_) {
    if (!report.over) {
      report.lost = told = true;
      add_gap(report.event, "records of the kernel log were overwritten before they were read: lines may be missing");
    }
  }
  if (!told) {
    untold_ = true;
    untold_records_ += records;
  }
}

KernelLogReport& KernelLogReports::open(const KernelLogLine& line) {
  if (reports_.size() >= kMaxOpen) {
    // One that is over misses nothing but latecomers.
    auto oldest = std::ranges::find_if(reports_, [](const KernelLogReport& each) { return each.over; });
    if (oldest == reports_.end()) {
      oldest = reports_.begin();
    }
    KernelLogReport report = std::move(*oldest);
    reports_.erase(oldest);
    finish(std::move(report));
  }
  KernelLogReport report;
  report.event.time_ns = line.time_ns;
  report.caller = line.caller;
  report.last_ns = line.now_ns;
  if (untold_) {
    const std::string count = untold_records_ > 0 ? std::to_string(untold_records_) + " records" : "records";
    add_gap(report.event, count + " of the kernel log before this OOM were overwritten before they were read");
    report.lost = true;
    untold_ = false;
    untold_records_ = 0;
  }
  if (dropped_events_ > 0) {
    add_gap(report.event, std::to_string(dropped_events_) + " OOMs before this one were dropped: too many at once");
    dropped_events_ = 0;
  }
  return reports_.emplace_back(std::move(report));
}

KernelLogReport* KernelLogReports::writing(const KernelLogLine& line) {
  for (auto each = reports_.rbegin(); each != reports_.rend(); ++each) {
    if (!each->over && !each->summary && same_caller(each->caller, line.caller)) {
      return &*each;
    }
  }
  return nullptr;
}

KernelLogReport* KernelLogReports::listing(std::uint32_t pid, const KernelLogLine& line) {
  for (auto each = reports_.rbegin(); each != reports_.rend(); ++each) {
    if (!each->over && !each->summary && same_caller(each->caller, line.caller) && each->task_of(pid) != nullptr) {
      return &*each;
    }
  }
  return nullptr;
}

KernelLogReport* KernelLogReports::last_killed(const KernelLogLine& line) {
  for (auto each = reports_.rbegin(); each != reports_.rend(); ++each) {
    if (each->over && !each->event.victims.empty() && same_caller(each->caller, line.caller)) {
      return &*each;
    }
  }
  return nullptr;
}

KernelLogReport* KernelLogReports::waiting_for(std::uint32_t pid, std::optional<bool> memcg,
                                               const KernelLogLine& line) {
  KernelLogReport* listed = nullptr;
  KernelLogReport* silent = nullptr;  // nothing of it speaks against this process
  std::size_t silents = 0;
  for (auto& each : reports_) {
    if (each.over || !same_caller(each.caller, line.caller)) {
      continue;
    }
    if (each.chosen_pid == pid) {
      return &each;
    }
    // Another thread of the process that was chosen; or the choice was lost and the dump is there.
    if (each.chosen_pid != 0 ? each.process_of(pid) == each.chosen_pid : each.task_of(pid) != nullptr) {
      listed = &each;
    } else if (each.event.tasks.empty() && !(each.lost && each.summary) &&
               memcg.value_or(each.event.memcg) == each.event.memcg) {
      silent = &each;
      ++silents;
    }
  }
  return listed != nullptr || silents != 1 ? listed : silent;
}

KernelLogReport* KernelLogReports::group_of(const KernelLogLine& line, std::uint32_t pid) {
  KernelLogReport* report = nullptr;
  for (auto& each : reports_) {
    if (each.event.group_kill && same_caller(each.caller, line.caller) &&
        line.now_ns <= each.last_ns + ns(settings_.group_settle) &&
        (report == nullptr || each.task_of(pid) != nullptr)) {
      report = &each;
    }
  }
  return report;
}

std::uint64_t KernelLogReports::due_ns(const KernelLogReport& report) const {
  const auto wait = !report.over              ? settings_.abandon
                    : report.event.group_kill ? settings_.group_settle
                                              : settings_.settle;
  return report.last_ns + ns(wait);
}

std::vector<LogOomEvent> KernelLogReports::take(std::uint64_t now_ns) {
  for (std::size_t i = 0; i < reports_.size();) {
    if (due_ns(reports_[i]) > now_ns) {
      ++i;
      continue;
    }
    KernelLogReport report = std::move(reports_[i]);
    reports_.erase(reports_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(std::move(report));
  }
  std::ranges::stable_sort(finished_, {}, &LogOomEvent::time_ns);
  return std::exchange(finished_, {});
}

std::optional<std::uint64_t> KernelLogReports::deadline() const {
  if (!finished_.empty()) {
    return 0;
  }
  std::optional<std::uint64_t> out;
  for (const auto& report : reports_) {
    out = std::min(out.value_or(due_ns(report)), due_ns(report));
  }
  return out;
}

// A task that nothing may be killed for fails, tries again, and reports each time without a rate limit: 60 reports a
// second were seen. One a second says as much.
bool KernelLogReports::quiet(LogOomEvent& event) {
  if (!event.victims.empty()) {
    return false;
  }
  if (none_killed_ && none_killed_->path == event.limit_path && event.time_ns >= none_killed_->time_ns &&
      event.time_ns - none_killed_->time_ns < kQuietNs) {
    ++none_killed_->left_out;
    return true;
  }
  if (none_killed_ && none_killed_->left_out > 0) {
    add_gap(event, std::to_string(none_killed_->left_out) + " OOMs before this one that killed nothing were left out");
  }
  none_killed_ = NoneKilled{event.limit_path, event.time_ns, 0};
  return false;
}

// Says what is missing.
void KernelLogReports::finish(KernelLogReport report) {
  LogOomEvent& event = report.event;
  if (event.limit_path.empty() && event.memcg) {
    event.limit_path = report.stats_path;
  }
  if (!report.begun && !report.summary && !report.lost && !event.victims.empty()) {
    add_gap(event, "the kernel log tells the kill alone: its reports are rate-limited");
  } else if (!report.begun) {
    add_gap(event, "the beginning of the kernel's report is missing");
  } else if (report.over && !event.victims.empty() && !report.summary) {
    add_gap(event, "the line that names the victim's cgroup is missing");
  }
  if (report.begun && report.summary && !report.dump_seen && !report.lost) {
    add_gap(event, "the kernel listed no processes: vm.oom_dump_tasks is 0");
  }
  if (!report.over) {
    add_gap(event, "the kernel log tells of no kill");
  }
  if (quiet(event)) {
    return;
  }
  if (finished_.size() >= kMaxFinished) {
    ++dropped_events_;
    return;
  }
  finished_.push_back(std::move(event));
}

}  // namespace memcrest
