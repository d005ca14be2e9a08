// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_parser.h"

#include <algorithm>

namespace memcrest {
namespace {

using namespace kernel_log;

constexpr std::size_t kMaxFinished = 64;
constexpr std::size_t kMaxGaps = 16;
constexpr std::uint64_t kQuietNs = 1'000'000'000;
// A record's text ends here at the latest: 1024 bytes less room for a prefix (LOG_LINE_MAX; the prefix is 32 to 48).
constexpr std::size_t kCutLength = 970;

void add_gap(LogOomEvent& event, std::string gap) {
  if (event.gaps.size() < kMaxGaps && std::ranges::find(event.gaps, gap) == event.gaps.end()) {
    event.gaps.push_back(std::move(gap));
  }
}

// Unknown callers (no CONFIG_PRINTK_CALLER) may be anybody.
bool same_caller(std::string_view a, std::string_view b) { return a.empty() || b.empty() || a == b; }

std::uint64_t ns(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(duration).count());
}

const LogTask* task_of(const LogOomEvent& event, std::uint32_t pid) {
  const auto found =
      std::ranges::find_if(event.tasks, [pid](const LogTask& task) { return task.pid == pid || task.tgid == pid; });
  return found == event.tasks.end() ? nullptr : &*found;
}

// The kernel names another thread of a process whose main thread has gone: the dump tells the process.
std::uint32_t process_of(const LogOomEvent& event, std::uint32_t pid) {
  const auto* task = task_of(event, pid);
  return task != nullptr && task->tgid != 0 ? task->tgid : pid;
}

}  // namespace

KernelLogParser::KernelLogParser(KernelLogSettings settings) : settings_(settings) {}

Result<std::uint64_t> KernelLogParser::feed(std::string_view raw, std::uint64_t now_ns) {
  const auto record = parse_kernel_log_record(raw);
  if (!record) {
    note_overwritten();
    return std::unexpected(record.error());
  }
  follow(record->sequence);
  // Whoever may write to /dev/kmsg can write such lines, but never as the kernel.
  if (record->facility == 0) {
    on_text(*record, now_ns);
  }
  return record->time_ns;
}

void KernelLogParser::note_overwritten() {
  if (!tell_open()) {
    untold_ = true;
  }
}

bool KernelLogParser::tell_open() {
  bool any = false;
  for (auto& report : reports_) {
    if (!report.over) {
      report.lost = any = true;
      add_gap(report.event, "records of the kernel log were overwritten before they were read: lines may be missing");
    }
  }
  return any;
}

void KernelLogParser::follow(std::uint64_t sequence) {
  if (next_sequence_ && sequence > *next_sequence_) {
    const std::uint64_t missing = sequence - *next_sequence_;
    overwritten_ += missing;
    if (!tell_open()) {
      untold_ = true;
      untold_records_ += missing;
    }
  }
  next_sequence_ = sequence + 1;
}

// Puts lines together that the kernel had to print in pieces. A piece is not always marked by the kernel alone: a
// process named "\001c" makes its own line look like one, so a piece counts only where one is missing.
void KernelLogParser::on_text(const KernelLogRecord& record, std::uint64_t now_ns) {
  const bool cut = record.text.size() >= kCutLength;
  if (piece_ && record.fragment && same_caller(piece_->caller, record.caller) && continues(piece_->text, record.text) &&
      piece_->text.size() + record.text.size() <= 2 * kMaxKernelLogRecord) {
    piece_->text += record.text;
    piece_->cut = piece_->cut || cut;
    if (!unfinished(piece_->text)) {
      flush_piece();
    }
    return;
  }
  if (unfinished(record.text)) {
    flush_piece();
    piece_ = Piece{record.text, record.caller, record.time_ns, now_ns, cut};
    return;
  }
  on_line({record.text, record.caller, record.time_ns, now_ns, cut});
}

void KernelLogParser::flush_piece() {
  if (piece_) {
    const Piece piece = std::move(*piece_);
    piece_.reset();
    on_line({piece.text, piece.caller, piece.time_ns, piece.now_ns, piece.cut});
  }
}

void KernelLogParser::on_line(const Line& line) {
  if (line.text.starts_with(kSummaryStart)) {
    flush_piece();
    on_summary(line);
  } else if (auto killed = parse_killed(line.text)) {
    flush_piece();
    on_killed(std::move(*killed), line);
  } else if (auto invoked = parse_invoked(line.text)) {
    flush_piece();
    on_invoked(std::move(*invoked), line);
  } else if (auto group = parse_group(line.text)) {
    flush_piece();
    on_group(std::move(*group), line);
  } else if (const auto exiting = parse_exiting(line.text)) {
    flush_piece();
    on_exiting(*exiting, line);
  } else if (const auto announced = parse_announcement(line.text)) {
    on_announcement(*announced, line);
  } else if (line.text.starts_with("Out of memory and no killable processes")) {
    flush_piece();
    on_none_killable(line);
  } else if (on_report_line(line)) {
    writing(line)->last_ns = line.now_ns;
  }
}

// The lines between "invoked oom-killer" and "oom-kill:". False: of no report.
bool KernelLogParser::on_report_line(const Line& line) {
  Report* report = writing(line);
  if (report == nullptr) {
    return false;
  }
  LogOomEvent& event = report->event;
  if (const auto pid = parse_stack_pid(line.text)) {
    if (report->begun && !event.trigger_pid) {
      event.trigger_pid = pid;
    }
    return true;
  }
  if (const auto counter = parse_counter(line.text, settings_.page_size)) {
    auto& place = counter->name == "memory"        ? event.memory
                  : counter->name == "memory+swap" ? event.memsw
                  : counter->name == "swap"        ? event.swap
                                                   : event.kmem;
    if (!place) {
      place = counter->counter;
    }
    event.memcg = true;
    return true;
  }
  if (auto header = parse_stats_header(line.text)) {
    event.memcg = true;
    // Before 5.2 one line for each cgroup below as well: the first is the one whose limit was hit.
    if (report->stats_path.empty()) {
      report->stats_path = std::move(header->path);
      event.stats = std::move(header->stats);
      report->in_stats = event.stats.empty();
    }
    return true;
  }
  return on_tasks(*report, line.text) || (report->in_stats && on_stats(*report, line.text));
}

bool KernelLogParser::on_stats(Report& report, std::string_view text) {
  bool any = false;
  // One record with newlines inside is cut silently; half a number would be a wrong one.
  if (text.size() >= kCutLength && text.find('\n') != std::string_view::npos) {
    text = text.substr(0, text.rfind('\n'));
    add_gap(report.event, "the kernel cut the cgroup's statistics");
  }
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    auto stat = parse_stat(line);
    if (!stat) {
      break;
    }
    any = true;
    if (report.event.stats.size() < kMaxStats) {
      report.event.stats.push_back(std::move(*stat));
    }
  }
  return any;
}

bool KernelLogParser::on_tasks(Report& report, std::string_view text) const {
  if (text.starts_with("Tasks state (memory values in pages)")) {
    report.dump_seen = true;
    report.in_stats = false;
    return true;
  }
  if (auto columns = parse_task_header(text)) {
    report.columns = std::move(*columns);
    report.dump_seen = true;
    report.in_stats = false;
    return true;
  }
  auto task = parse_task(text, report.columns, settings_.page_size);
  if (!task) {
    return false;
  }
  if (report.event.tasks.size() < kMaxTasks) {
    report.event.tasks.push_back(std::move(*task));
  } else {
    add_gap(report.event, "only the first " + std::to_string(kMaxTasks) + " processes of the log's list were kept");
  }
  return true;
}

void KernelLogParser::on_invoked(Invoked invoked, const Line& line) {
  Report* before = writing(line);
  const bool mixed = before != nullptr && before->caller.empty() && !before->summary && !before->lost;
  if (mixed) {
    add_gap(before->event, "another report began inside this one: their lines may be mixed up");
  }
  Report& report = open(line);
  report.begun = true;
  report.event.trigger_comm = std::move(invoked.comm);
  report.event.gfp_mask = invoked.gfp_mask;
  report.event.order = invoked.order;
  if (mixed) {
    add_gap(report.event, "this report began inside another one: their lines may be mixed up");
  }
}

void KernelLogParser::on_summary(const Line& line) {
  // By what the dumps say, then by order: two reports may have run into each other.
  Report* report = nullptr;
  const auto pid = parse_summary(line.text, {}).pid;
  for (auto& each : reports_) {
    if (!each.over && !each.summary && same_caller(each.caller, line.caller) && pid &&
        task_of(each.event, *pid) != nullptr) {
      report = &each;
    }
  }
  if (report == nullptr) {
    report = writing(line);
  }
  if (report == nullptr || report->summary) {
    report = &open(line);
  }
  LogOomEvent& event = report->event;
  auto summary = parse_summary(line.text, {report->stats_path, &event.tasks});
  report->last_ns = line.now_ns;
  report->summary = true;
  report->in_stats = false;
  report->chosen_pid = summary.pid.value_or(0);
  event.constraint = summary.constraint;
  event.memcg = event.memcg || summary.constraint == Constraint::kMemcg;
  event.cpuset_path = std::move(summary.cpuset_path);
  event.mems_allowed = std::move(summary.mems_allowed);
  event.limit_path = std::move(summary.limit_path);
  event.victim_path = std::move(summary.victim_path);
  if (!summary.complete) {
    add_gap(event, "the line that names the victim's cgroup is not complete");
  } else if (line.cut) {
    add_gap(event, "a line was as long as the kernel's log allows: a path in it may be cut");
  }
}

void KernelLogParser::on_killed(Killed killed, const Line& line) {
  Report* report = waiting_for(killed.victim.pid, killed.memcg, line);
  if (report == nullptr) {
    report = group_of(line, killed.victim.pid);
  }
  if (report == nullptr) {
    report = &open(line);
  }
  report->last_ns = line.now_ns;
  report->over = true;
  report->event.memcg = killed.memcg.value_or(report->event.memcg);
  add_victim(*report, std::move(killed));
}

void KernelLogParser::add_victim(Report& report, Killed killed) {
  LogOomEvent& event = report.event;
  killed.victim.pid = process_of(event, killed.victim.pid);
  // A group kill goes over all its members, the first victim included.
  if (std::ranges::any_of(event.victims, [&](const LogVictim& each) { return each.pid == killed.victim.pid; })) {
    return;
  }
  if (!killed.sizes) {
    add_gap(event, "the sizes of a victim could not be read");
  }
  if (event.victims.size() < kMaxVictims) {
    event.victims.push_back(std::move(killed.victim));
  } else {
    add_gap(event, "only the first " + std::to_string(kMaxVictims) + " victims were kept");
  }
}

void KernelLogParser::on_group(std::string path, const Line& line) {
  // It follows the first kill at once.
  for (auto each = reports_.rbegin(); each != reports_.rend(); ++each) {
    if (each->over && !each->event.victims.empty() && same_caller(each->caller, line.caller)) {
      each->last_ns = line.now_ns;
      each->event.group_kill = true;
      if (each->event.victim_path.empty()) {
        each->event.victim_path = std::move(path);
        add_gap(each->event, "the victim's cgroup is known as that of memory.oom.group: its own may lie below");
      }
      return;
    }
  }
  Report& report = open(line);
  report.event.group_kill = true;
  report.event.victim_path = std::move(path);
}

void KernelLogParser::on_exiting(const Named& named, const Line& line) {
  Report* report = waiting_for(named.pid, named.memcg, line);
  if (report == nullptr) {
    return;  // of a group: one victim less. Without a report there was no kill to tell of
  }
  report->over = true;
  report->last_ns = line.now_ns;
  report->event.memcg = named.memcg;
  add_gap(report->event, "nothing was killed: process " + std::to_string(named.pid) + " was chosen and was exiting");
}

void KernelLogParser::on_announcement(const Named& named, const Line& line) {
  Report* report = waiting_for(named.pid, named.memcg, line);
  if (report == nullptr) {
    report = writing(line);
  }
  if (report == nullptr) {
    report = &open(line);
  }
  report->last_ns = line.now_ns;
  report->chosen_pid = named.pid;
  report->summary = true;  // what kernels before 5.0 have for one
  report->event.memcg = named.memcg;
}

void KernelLogParser::on_none_killable(const Line& line) {
  Report* report = writing(line);
  if (report == nullptr) {
    report = &open(line);
  }
  report->over = true;
  report->last_ns = line.now_ns;
  add_gap(report->event, "nothing was killed: the kernel found no process that it may kill");
}

KernelLogParser::Report& KernelLogParser::open(const Line& line) {
  if (reports_.size() >= kMaxOpen) {
    // One that is over misses nothing but latecomers.
    auto oldest = std::ranges::find_if(reports_, [](const Report& each) { return each.over; });
    if (oldest == reports_.end()) {
      oldest = reports_.begin();
    }
    Report report = std::move(*oldest);
    reports_.erase(oldest);
    finish(std::move(report));
  }
  Report report;
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

KernelLogParser::Report* KernelLogParser::writing(const Line& line) {
  for (auto each = reports_.rbegin(); each != reports_.rend(); ++each) {
    if (!each->over && !each->summary && same_caller(each->caller, line.caller)) {
      return &*each;
    }
  }
  return nullptr;
}

KernelLogParser::Report* KernelLogParser::waiting_for(std::uint32_t pid, std::optional<bool> memcg, const Line& line) {
  Report* listed = nullptr;
  Report* silent = nullptr;  // nothing of it speaks against this process
  std::size_t silents = 0;
  for (auto& each : reports_) {
    if (each.over || !same_caller(each.caller, line.caller)) {
      continue;
    }
    if (each.chosen_pid == pid) {
      return &each;
    }
    // Another thread of the process that was chosen; or the choice was lost and the dump is there.
    if (each.chosen_pid != 0 ? process_of(each.event, pid) == each.chosen_pid : task_of(each.event, pid) != nullptr) {
      listed = &each;
    } else if (each.event.tasks.empty() && !(each.lost && each.summary) &&
               memcg.value_or(each.event.memcg) == each.event.memcg) {
      silent = &each;
      ++silents;
    }
  }
  return listed != nullptr || silents != 1 ? listed : silent;
}

KernelLogParser::Report* KernelLogParser::group_of(const Line& line, std::uint32_t pid) {
  Report* report = nullptr;
  for (auto& each : reports_) {
    if (each.event.group_kill && same_caller(each.caller, line.caller) &&
        line.now_ns <= each.last_ns + ns(settings_.group_settle) &&
        (report == nullptr || task_of(each.event, pid) != nullptr)) {
      report = &each;
    }
  }
  return report;
}

std::uint64_t KernelLogParser::due_ns(const Report& report) const {
  const auto wait = !report.over              ? settings_.abandon
                    : report.event.group_kill ? settings_.group_settle
                                              : settings_.settle;
  return report.last_ns + ns(wait);
}

std::vector<LogOomEvent> KernelLogParser::take(std::uint64_t now_ns) {
  if (piece_ && now_ns >= piece_->now_ns + ns(settings_.settle)) {
    flush_piece();
  }
  for (std::size_t i = 0; i < reports_.size();) {
    if (due_ns(reports_[i]) > now_ns) {
      ++i;
      continue;
    }
    Report report = std::move(reports_[i]);
    reports_.erase(reports_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(std::move(report));
  }
  std::ranges::stable_sort(finished_, {}, &LogOomEvent::time_ns);
  return std::exchange(finished_, {});
}

std::optional<std::uint64_t> KernelLogParser::deadline() const {
  if (!finished_.empty()) {
    return 0;
  }
  std::optional<std::uint64_t> out;
  if (piece_) {
    out = piece_->now_ns + ns(settings_.settle);
  }
  for (const auto& report : reports_) {
    out = std::min(out.value_or(due_ns(report)), due_ns(report));
  }
  return out;
}

// A task that nothing may be killed for fails, tries again, and reports each time without a rate limit: 60 reports a
// second were seen. One a second says as much.
bool KernelLogParser::quiet(LogOomEvent& event) {
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
void KernelLogParser::finish(Report report) {
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
