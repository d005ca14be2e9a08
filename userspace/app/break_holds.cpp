// SPDX-License-Identifier: Apache-2.0
#include "app/break_holds.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "breakpoint/process_signal.h"
#include "util/fd.h"
#include "util/process_start.h"
#include "util/redact.h"
#include "util/signal_name.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostTold = 64;
// A charge that was under way when the line went may still catch its thread.
constexpr std::chrono::milliseconds kSweepTime{1000};
constexpr std::chrono::milliseconds kLookTime{250};
constexpr std::chrono::milliseconds kBeatTime{1000};
constexpr const char* kUnguarded = "let go: memcrest's guardian was gone";
constexpr std::chrono::seconds kIncidentTime{10};
constexpr std::chrono::seconds kLostIncidentTime{60};
constexpr std::size_t kMostFound = 1024;

bool is_same(const ProcessKey& a, const ProcessKey& b) {
  return a.tgid == b.tgid && to_tick(a.start_ns) == to_tick(b.start_ns);
}

double ms_since(steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - since).count();
}

std::string cmdline_of(std::uint32_t pid, CmdlineDetail detail) {
  const auto raw = read_start("/proc/" + std::to_string(pid) + "/cmdline", 4096);
  return raw && !raw->empty() ? redact_cmdline(*raw, false, detail) : std::string();
}

}  // namespace

BreakHolds::BreakHolds(const BreakOptions& options, const CgroupTree& tree, const Clock& clock, BreakArms& arms,
                       BreakpointTable* table, BreakGuardian* guardian, Tell tell)
    : options_(options),
      tree_(tree),
      clock_(clock),
      arms_(arms),
      table_(table),
      guardian_(guardian),
      tell_(std::move(tell)) {}

BreakHolds::~BreakHolds() = default;

bool BreakHolds::hit(const BreakpointEvent& event, const std::string& reason) {
  const std::string refused = unguarded_ ? kUnguarded : reason;
  // The record of one that find_unknown() found, late; or the one that it made, which may come back when all is over.
  const auto unknown = std::ranges::find_if(holds_, [&](const Hold& one) {
    return one.unknown && one.event.cgroup_id == event.cgroup_id && event.time_ns <= one.event.time_ns;
  });
  if (unknown != holds_.end()) {
    unknown->unknown = false;
    unknown->event = event;
    return true;
  }
  if (const auto found = found_.find(event.cgroup_id); found != found_.end() && event.time_ns <= found->second) {
    return false;  // the other of the two: what was to be done was done
  }
  if (std::ranges::any_of(holds_,
                          [&](const Hold& one) { return !one.swept && one.event.cgroup_id == event.cgroup_id; })) {
    return false;  // another process of it that went on to grow: it is stopped, and let go with the first
  }
  Hold& hold = holds_.emplace_back();
  hold.event = event;
  hold.settings = arms_.settings_of(event.cgroup_id);
  hold.since = steady_clock::now();
  hold.rule = arms_.rule_of(event.cgroup_id);
  hold.dir = arms_.dir_of(event.cgroup_id).value_or("");
  if (hold.settings.hold) {
    hold.until = hold.since + std::chrono::duration_cast<steady_clock::duration>(*hold.settings.hold);
  }
  ++hits_;
  if (!refused.empty()) {
    hold.action = "nothing";
    hold.failed = true;
    end(hold, refused);
  } else {
    begin(hold);
  }
  return true;
}

void BreakHolds::begin(Hold& hold) {
  if (!hold.dir.empty()) {
    hold.processes = processes_in(hold.dir);
  }
  // It may have come since the line was set.
  if (const std::string daemon = runtime_daemon_in(hold.processes, hold.settings.allowed); !daemon.empty()) {
    hold.action = "nothing";
    hold.failed = true;
    end(hold, "let go at once: " + daemon + " runs in it, and --allow does not name it");
    return;
  }
  if (!holds_somebody(hold)) {
    const auto number = static_cast<std::uint32_t>(hold.settings.signal);
    hold.action = signal_name(number) + (hold.event.late ? " to its largest process" : " to the process that crossed");
    if (hold.event.late || hold.event.error != 0) {
      const ProcessKey whom = !hold.event.late         ? hold.event.task.process
                              : hold.processes.empty() ? ProcessKey{}
                                                       : hold.processes.front().process;
      const auto sent = send_signal(whom, hold.settings.signal);
      hold.failed = !sent;
      end(hold, sent ? signal_name(number) + " sent" : sent.error().message());
      return;
    }
    end(hold, signal_name(number) + " sent before it ran another instruction");
    return;
  }
  if (hold.event.late || hold.event.error != 0) {
    stop_all(hold);
  }
  if (hold.settings.freeze) {
    freeze(hold);
  }
  act(hold);
}

// Where no hook could: all processes, since nobody knows which one grew. Entered first, so that they are found again.
void BreakHolds::stop_all(Hold& hold) {
  for (const ContainerProcess& one : hold.processes) {
    if (one.process.tgid == static_cast<std::uint32_t>(::getpid())) {
      continue;
    }
    if (state_of(one.process) != RunState::kRuns) {
      continue;  // somebody else stopped it, and will resume it
    }
    const CaughtProcess caught{hold.event.cgroup_id, one.process, SIGSTOP, true};
    if (table_ != nullptr ? !table_->note(caught) : guardian_ != nullptr && !guardian_->stopping(one.process)) {
      continue;
    }
    if (send_signal(one.process, SIGSTOP)) {
      hold.stopped.push_back(one.process);
    }
  }
}

void BreakHolds::freeze(Hold& hold) {
  auto file = freeze_file(hold.dir, tree_.version(), hold.processes);
  if (file) {
    const auto now = read_file(file->path);
    if (now && now->starts_with(file->freeze)) {
      file = fail("freeze", file->path, 0, "it is frozen already");  // and whoever did that thaws it
    }
  }
  if (file && guardian_ != nullptr) {
    if (const auto told = guardian_->frozen(file->path, file->thaw); !told) {
      file = std::unexpected(told.error());
    }
  }
  const auto done = file ? write_file(file->path, file->freeze) : std::unexpected(file.error());
  if (!done) {
    spdlog::warn("not frozen: {}", escape_terminal(done.error().message()));
    return;
  }
  hold.frozen = *file;
  hold.was_frozen = true;
}

std::string BreakHolds::how_to_attach(const Hold& hold) const {
  const std::uint32_t pid = !hold.event.late         ? hold.event.task.process.tgid
                            : hold.processes.empty() ? 0
                                                     : hold.processes.front().process.tgid;
  const std::string number = std::to_string(pid);
  return pid == 0
             ? std::string()
             : "; look at it with: gdb -p " + number + ", strace -f -p " + number + ", py-spy dump --pid " + number;
}

void BreakHolds::act(Hold& hold) {
  const std::string whom = hold.event.late ? "all processes stopped" : "stopped before it ran another instruction";
  const std::string frozen = hold.frozen ? ", the container frozen" : "";
  const std::string length = hold.settings.hold ? " for at most " + format_duration(*hold.settings.hold)
                                                : " until Ctrl-C or 'memcrest break --resume'";
  hold.action = whom + frozen + length;
  switch (hold.settings.action) {
    case BreakAction::kStop:
      hold.action += how_to_attach(hold) + "; a liveness probe may fail meanwhile";
      return;
    case BreakAction::kSignal:
      return;
    case BreakAction::kExec:
      hold.action += "; meanwhile: " + hold.settings.exec;
      run(hold, {"/bin/sh", "-c", hold.settings.exec});
      return;
    case BreakAction::kDump:
      hold.action += "; meanwhile: dump " + std::string(to_string(*hold.settings.dump));
      dump(hold);
      return;
  }
}

bool BreakHolds::make_output(Hold& hold) {
  const std::string name = std::to_string(clock_.unix_ns() / 1'000'000) + "-" + std::to_string(hold.event.cgroup_id);
  auto dir = make_output_dir(hold.settings.output, name);
  if (!dir) {
    hold.failed = true;
    end(hold, dir.error().message());
    return false;
  }
  hold.output = std::move(*dir);
  return true;
}

// Where it is not known who crossed the line: the largest.
ProcessKey BreakHolds::process_of(const Hold& hold) {
  const ProcessKey largest = hold.processes.empty() ? ProcessKey{} : hold.processes.front().process;
  return hold.event.late ? largest : hold.event.task.process;
}

void BreakHolds::start(Hold& hold, ActionCommand command) {
  if (command.output.empty()) {
    command.output = hold.output + "/output.txt";
  }
  command.most_bytes = std::min(hold.settings.most_output, room_in(hold.output) / 2);
  command.most_time = hold.until ? *hold.until - steady_clock::now() : std::chrono::hours(24);
  auto child = ActionChild::start(command);
  if (!child) {
    hold.failed = true;
    end(hold, child.error().message());
    return;
  }
  hold.child.emplace(std::move(*child));
  if (guardian_ != nullptr) {
    guardian_->acting(hold.child->pid());
  }
}

void BreakHolds::run(Hold& hold, std::vector<std::string> argv) {
  if (!make_output(hold)) {
    return;
  }
  const ProcessKey process = process_of(hold);
  ActionCommand command;
  command.argv = std::move(argv);
  command.environment = {"MEMCREST_PID=" + std::to_string(process.tgid),
                         "MEMCREST_TID=" + std::to_string(hold.event.task.tid),
                         "MEMCREST_CGROUP_DIR=" + hold.dir,
                         "MEMCREST_USAGE=" + std::to_string(hold.event.usage_bytes),
                         "MEMCREST_LINE=" + std::to_string(hold.event.line_bytes),
                         "MEMCREST_OUTPUT=" + hold.output};
  start(hold, std::move(command));
}

void BreakHolds::dump(Hold& hold) {
  const DumpKind kind = *hold.settings.dump;
  const ProcessKey process = process_of(hold);
  if (kind == DumpKind::kSmaps) {
    if (!make_output(hold)) {
      return;
    }
    hold.smaps.emplace();
    return;
  }
  const int number = signal_of(kind);
  if (const int needed = kind == DumpKind::kJvm ? SIGQUIT : number; needed != 0 && !catches(process, needed)) {
    hold.failed = true;
    end(hold, "no " + std::string(to_string(kind)) + " program, or not one that waits for " +
                  signal_name(static_cast<std::uint32_t>(needed)) + ": it would be ended by that");
    return;
  }
  // While it is stopped the signal waits: it is taken before another instruction.
  const auto sent = number != 0 ? send_signal(process, number) : Result<void>();
  if (wants_it_running(kind)) {
    // It would be caught again at its next charge.
    arms_.settle(hold.event.cgroup_id);
    thaw(hold);
    ignore_result(send_signal(process, SIGCONT));
    hold.action += "; the process was resumed for it, since it has to answer itself";
  }
  if (number != 0) {
    hold.failed = !sent;
    end(hold, sent ? signal_name(static_cast<std::uint32_t>(number)) + " sent: what it writes is in its own log or file"
                   : sent.error().message());
    return;
  }
  if (!make_output(hold)) {
    return;
  }
  if (const auto prepared = prepare_dump(kind, process.tgid, hold.event.time_ns, hold.output); !prepared) {
    hold.failed = true;
    end(hold, prepared.error().message());
    return;
  }
  ActionCommand command;
  command.argv = dump_command(kind, process.tgid, hold.output);
  start(hold, std::move(command));
}

// The virtual machine's file, which lies in the container. True: it is being copied.
bool BreakHolds::collect(Hold& hold) {
  auto heap = left_heap(process_of(hold), hold.event.time_ns);
  if (!heap) {
    hold.failed = true;
    end(hold, "classes by size written; the heap is not to be had: " + heap.error().message());
    return false;
  }
  hold.heap = std::move(*heap);
  ActionCommand command;
  command.argv = {"cat"};
  command.input = hold.heap->file.get();
  command.output = hold.output + "/heap.hprof";
  start(hold, std::move(command));
  return true;
}

void BreakHolds::look_at_child(Hold& hold, bool time_is_over) {
  const std::string ended = hold.child->look(time_is_over);
  if (ended.empty()) {
    return;
  }
  hold.failed = !hold.child->succeeded();
  if (guardian_ != nullptr) {
    guardian_->acted(hold.child->pid());
  }
  if (hold.settings.dump != DumpKind::kJvm) {
    end(hold, ended);
  } else if (!hold.heap) {
    if (hold.failed || !collect(hold)) {
      end(hold, ended);
    }
  } else if (hold.failed) {
    end(hold, "classes by size written; " + ended);
  } else {
    const auto removed = hold.heap->remove();
    hold.heap_taken = true;
    end(hold, removed
                  ? "classes by size and the heap written"
                  : "classes by size and the heap written; in the container it stays: " + removed.error().message());
  }
}

// One at a time: the others go on meanwhile, and the guardian hears of us.
void BreakHolds::write_some_smaps(Hold& hold) {
  constexpr std::size_t kAtOnce = 1;
  const std::size_t count = std::min(kAtOnce, hold.processes.size() - hold.next_process);
  const std::span some = std::span(hold.processes).subspan(hold.next_process, count);
  const std::uint64_t room =
      std::min(hold.settings.most_output - hold.smaps->bytes, room_in(hold.output) / 2);  // as of a command's files
  const auto written = write_smaps(some, hold.output, room);
  if (!written) {
    hold.failed = true;
    end(hold, written.error().message());
    return;
  }
  hold.smaps->processes += written->processes;
  hold.smaps->bytes += written->bytes;
  hold.smaps->cut = hold.smaps->cut || written->cut;
  hold.next_process += count;
  if (hold.next_process == hold.processes.size() || hold.smaps->cut) {
    hold.failed = hold.smaps->processes == 0;
    end(hold, "smaps of " + std::to_string(hold.smaps->processes) + " processes written" +
                  (hold.smaps->cut ? ", cut at --max-output" : ""));
  }
}

// Whom the kernel stopped and whose record was lost: told as far as it can be, and let go as any other.
void BreakHolds::find_unknown() {
  const auto now = steady_clock::now();
  if (table_ == nullptr || now - looked_ < kLookTime) {
    return;
  }
  looked_ = now;
  std::vector<ProcessKey> seen;
  for (const CaughtProcess& one : table_->caught()) {
    const bool known =
        std::ranges::any_of(holds_, [&](const Hold& hold) { return hold.event.cgroup_id == one.cgroup_id; });
    if (known) {
      continue;
    }
    seen.push_back(one.process);
    if (std::ranges::find(unknown_, one.process) == unknown_.end()) {
      continue;  // its record may be on its way
    }
    spdlog::warn("pid {} reached a line, and the record of that was lost, or is late", one.process.tgid);
    BreakpointEvent event = arms_.hit_as_of_now(one.cgroup_id);
    event.task.process = one.process;
    event.signal = one.signal;
    arms_.reach(one.cgroup_id);
    if (!arms_.is_ours(one.cgroup_id)) {
      hit(event, "its cgroup has no line any more");  // and nothing is known that could be told
    } else if (hit(event)) {
      Hold& hold = holds_.back();
      hold.unknown = true;
      found_.insert_or_assign(one.cgroup_id, event.time_ns);
      if (found_.size() > kMostFound) {
        found_.erase(found_.begin());
      }
      for (const ContainerProcess& process : hold.processes) {
        if (is_same(process.process, one.process)) {
          event.task.comm = event.task.thread_comm = process.comm;
          event.task.ns_tgid = process.ns_pid;
        }
      }
      arms_.tell(event);
    }
  }
  unknown_ = std::move(seen);
}

void BreakHolds::beat() {
  if (guardian_ == nullptr || unguarded_ || steady_clock::now() - beaten_ < kBeatTime) {
    return;
  }
  beaten_ = steady_clock::now();
  if (guardian_->beat()) {
    return;
  }
  unguarded_ = true;
  spdlog::error("the guardian is gone: it was killed, or memcrest did not answer for {} s; no lines are left",
                GuardianSettings{}.silence.count() / 1000);
  arms_.disarm_all();
  release_all(kUnguarded);
}

void BreakHolds::tick() {
  beat();
  find_unknown();
  for (Hold& hold : holds_) {
    const bool time_is_over = hold.until && steady_clock::now() >= *hold.until;
    if (!hold.over && hold.child) {
      look_at_child(hold, time_is_over);
    }
    if (!hold.over && hold.smaps) {
      write_some_smaps(hold);
    }
    if (!hold.over && time_is_over) {
      end(hold, "resumed after " + format_duration(*hold.settings.hold));
    }
    if (!hold.over && !hold.event.late && state_of(hold.event.task.process) == RunState::kGone) {
      hold.failed = true;
      const bool ran = hold.settings.dump && wants_it_running(*hold.settings.dump);
      end(hold, ran ? "it was killed before it had answered" : "it was killed while it was held");
    }
    if (hold.over && !hold.swept) {
      sweep(hold);
    }
    if (hold.over && hold.incident && !hold.updated) {
      hold.updated = true;
      if (hold.incident->breakpoint->outcome.empty()) {
        Incident update = *hold.incident;
        fill(update, hold);
        update.update = "breakpoint";
        tell_(update);
      }
    }
  }
  // The incident of one whose record was lost takes a way around.
  std::erase_if(holds_, [](const Hold& one) {
    const auto patience = one.unknown ? kLostIncidentTime : kIncidentTime;
    return one.swept && (one.updated || steady_clock::now() - one.over_at > patience);
  });
}

void BreakHolds::end(Hold& hold, const std::string& why) {
  if (hold.over) {
    return;
  }
  hold.over = true;
  hold.outcome = why;
  if (hold.heap && !hold.heap_taken) {
    hold.outcome += "; the heap stays in the container as /tmp/" + hold.heap->name;
  }
  // Before anybody goes on: what a debugger did to it is undone then.
  if (hold.child) {
    if (guardian_ != nullptr) {
      guardian_->acted(hold.child->pid());
    }
    hold.child.reset();
  }
  arms_.settle(hold.event.cgroup_id);
  thaw(hold);
  if (holds_somebody(hold)) {
    hold.held_ms = ms_since(hold.since);
  }
  hold.over_at = steady_clock::now();
  resume(hold, true);
  ++ended_;
}

void BreakHolds::thaw(Hold& hold) {
  if (!hold.frozen) {
    return;
  }
  if (const auto done = write_file(hold.frozen->path, hold.frozen->thaw);
      !done && done.error().code != ENOENT && done.error().code != ENODEV) {
    if (!hold.told_frozen) {
      hold.told_frozen = true;
      spdlog::error("not thawed, and tried again: {}", escape_terminal(done.error().message()));
    }
    return;
  }
  if (guardian_ != nullptr) {
    guardian_->thawed(hold.frozen->path);
  }
  hold.frozen.reset();
}

void BreakHolds::resume(Hold& hold, bool first) {
  for (std::size_t i = 0; first && i < hold.stopped.size(); ++i) {
    ignore_result(send_signal(hold.stopped[i], SIGCONT));
    if (table_ == nullptr && guardian_ != nullptr) {
      guardian_->resumed(hold.stopped[i]);
    }
  }
  if (table_ == nullptr) {
    return;
  }
  for (const CaughtProcess& one : table_->caught()) {
    if (one.cgroup_id != hold.event.cgroup_id) {
      continue;
    }
    // Its signal may still be on the way: it stays in the table until the end, and is looked at again.
    if (holds_somebody(hold) && (first || state_of(one.process) == RunState::kStopped)) {
      ignore_result(send_signal(one.process, SIGCONT));
    }
  }
}

void BreakHolds::sweep(Hold& hold) {
  resume(hold, false);
  thaw(hold);
  if (hold.frozen || steady_clock::now() - hold.over_at < kSweepTime) {
    return;
  }
  hold.swept = true;
  for (const CaughtProcess& one : table_ != nullptr ? table_->caught() : std::vector<CaughtProcess>()) {
    if (one.cgroup_id == hold.event.cgroup_id) {
      table_->release(one);
    }
  }
}

void BreakHolds::resume_everybody() {
  for (const CaughtProcess& one : table_ != nullptr ? table_->caught() : std::vector<CaughtProcess>()) {
    if (one.signal == SIGSTOP && state_of(one.process) == RunState::kStopped) {
      ignore_result(send_signal(one.process, SIGCONT));
    }
  }
}

void BreakHolds::release_all(const std::string& why) {
  for (Hold& hold : holds_) {
    end(hold, why);
  }
}

void BreakHolds::fill(Incident& incident, const Hold& hold) const {
  Breakpoint& out = *incident.breakpoint;
  out.rule = hold.rule;
  out.action = hold.action;
  out.outcome = hold.outcome;
  out.failed = hold.failed;
  out.held_ms = hold.held_ms;
  out.output = hold.output;
  out.total_processes = hold.processes.size();
  out.processes.clear();
  for (std::size_t i = 0; i < std::min(hold.processes.size(), kMostTold); ++i) {
    const ContainerProcess& one = hold.processes[i];
    const bool stopped =
        std::ranges::any_of(hold.stopped, [&](const ProcessKey& key) { return is_same(key, one.process); });
    const bool caught = !hold.event.late && is_same(hold.event.task.process, one.process);
    out.processes.push_back({.pid = one.process.tgid,
                             .container_pid = one.ns_pid,
                             .comm = one.comm,
                             .cmdline = cmdline_of(one.process.tgid, options_.trace.cmdlines),
                             .rss_bytes = one.rss_bytes,
                             .held = holds_somebody(hold) && (caught || stopped || hold.was_frozen)});
  }
}

bool BreakHolds::complete(Incident& incident) {
  for (Hold& hold : holds_) {
    if (incident.breakpoint && hold.event.cgroup_id == incident.cgroup.id && hold.event.time_ns == incident.boot_ns) {
      fill(incident, hold);
      hold.incident = incident;
      return true;
    }
  }
  return false;
}

}  // namespace memcrest
