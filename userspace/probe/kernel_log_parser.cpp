// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_parser.h"

#include <algorithm>

namespace memcrest {
namespace {

using namespace kernel_log;

// A record's text ends here at the latest: 1024 bytes less room for a prefix (LOG_LINE_MAX; the prefix is 32 to 48).
constexpr std::size_t kCutLength = 970;

}  // namespace

KernelLogParser::KernelLogParser(KernelLogSettings settings) : settings_(settings), reports_(settings) {}

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

void KernelLogParser::note_overwritten() { reports_.note_lost(0); }

void KernelLogParser::follow(std::uint64_t sequence) {
  if (next_sequence_ && sequence > *next_sequence_) {
    const std::uint64_t missing = sequence - *next_sequence_;
    overwritten_ += missing;
    reports_.note_lost(missing);
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
    reports_.writing(line)->last_ns = line.now_ns;
  }
}

// The lines between "invoked oom-killer" and "oom-kill:". False: of no report.
bool KernelLogParser::on_report_line(const Line& line) {
  Report* report = reports_.writing(line);
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
  Report* before = reports_.writing(line);
  const bool mixed = before != nullptr && before->caller.empty() && !before->summary && !before->lost;
  if (mixed) {
    add_gap(before->event, "another report began inside this one: their lines may be mixed up");
  }
  Report& report = reports_.open(line);
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
  Report* report = reports_.listing(parse_summary(line.text, {}).pid.value_or(0), line);
  if (report == nullptr) {
    report = reports_.writing(line);
  }
  if (report == nullptr || report->summary) {
    report = &reports_.open(line);
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
  Report* report = reports_.waiting_for(killed.victim.pid, killed.memcg, line);
  if (report == nullptr) {
    report = reports_.group_of(line, killed.victim.pid);
  }
  if (report == nullptr) {
    report = &reports_.open(line);
  }
  report->last_ns = line.now_ns;
  report->over = true;
  report->event.memcg = killed.memcg.value_or(report->event.memcg);
  add_victim(*report, std::move(killed));
}

void KernelLogParser::add_victim(Report& report, Killed killed) {
  LogOomEvent& event = report.event;
  killed.victim.pid = report.process_of(killed.victim.pid);
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
  Report* report = reports_.last_killed(line);
  if (report == nullptr) {
    report = &reports_.open(line);
  }
  report->last_ns = line.now_ns;
  report->event.group_kill = true;
  if (report->event.victim_path.empty()) {
    report->event.victim_path = std::move(path);
    add_gap(report->event, "the victim's cgroup is known as that of memory.oom.group: its own may lie below");
  }
}

void KernelLogParser::on_exiting(const Named& named, const Line& line) {
  Report* report = reports_.waiting_for(named.pid, named.memcg, line);
  if (report == nullptr) {
    return;  // of a group: one victim less. Without a report there was no kill to tell of
  }
  report->over = true;
  report->last_ns = line.now_ns;
  report->event.memcg = named.memcg;
  report->event.killed_nobody = true;
  add_gap(report->event, "nothing was killed: process " + std::to_string(named.pid) + " was chosen and was exiting");
}

void KernelLogParser::on_announcement(const Named& named, const Line& line) {
  Report* report = reports_.waiting_for(named.pid, named.memcg, line);
  if (report == nullptr) {
    report = reports_.writing(line);
  }
  if (report == nullptr) {
    report = &reports_.open(line);
  }
  report->last_ns = line.now_ns;
  report->chosen_pid = named.pid;
  report->summary = true;  // what kernels before 5.0 have for one
  report->event.memcg = named.memcg;
}

void KernelLogParser::on_none_killable(const Line& line) {
  Report* report = reports_.writing(line);
  if (report == nullptr) {
    report = &reports_.open(line);
  }
  report->over = true;
  report->last_ns = line.now_ns;
  report->event.killed_nobody = true;
  add_gap(report->event, "nothing was killed: the kernel found no process that it may kill");
}

std::vector<LogOomEvent> KernelLogParser::take(std::uint64_t now_ns) {
  if (piece_ && now_ns >= piece_due_ns()) {
    flush_piece();
  }
  return reports_.take(now_ns);
}

std::optional<std::uint64_t> KernelLogParser::deadline() const {
  const auto due = reports_.deadline();
  return piece_ ? std::min(due.value_or(piece_due_ns()), piece_due_ns()) : due;
}

std::uint64_t KernelLogParser::piece_due_ns() const {
  return piece_->now_ns + static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.settle).count());
}

}  // namespace memcrest
