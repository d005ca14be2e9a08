// SPDX-License-Identifier: Apache-2.0
// `memcrest break`: lines on containers, or on a command that it runs, and what happens when one is reached. The order
// matters: the guardian is there before the first line is, and goes after the last.
#include <dirent.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "app/break_arms.h"
#include "app/break_holds.h"
#include "app/exit_codes.h"
#include "app/output.h"
#include "app/plural.h"
#include "app/privileges.h"
#include "app/run_cgroup.h"
#include "app/session.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "breakpoint/process_signal.h"
#include "event/injected_source.h"
#include "export/json.h"
#include "util/fd.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"
#include "view/text.h"

namespace memcrest {
namespace {

constexpr std::chrono::milliseconds kTurn{20};
constexpr std::chrono::milliseconds kLeast{100};
constexpr std::chrono::milliseconds kAlone{1500};
constexpr std::chrono::milliseconds kSettle{3000};
constexpr int kDrainMs = 2000;

// Not one of those that `run` passes on, and none that ends a process of another program by mistake.
int resume_signal() { return SIGRTMIN + 5; }

volatile sig_atomic_t g_resume = 0;  // NOLINT: a signal handler can reach nothing else
void on_resume(int /*number*/) { g_resume = 1; }

void install_resume_signal() {
  struct sigaction action{};
  action.sa_handler = on_resume;
  sigemptyset(&action.sa_mask);
  sigaction(resume_signal(), &action, nullptr);
}

// Every other memcrest that breaks, of whatever version: by its command line, and only if it waits for this.
int resume_others() {
  const Directory proc(::opendir("/proc"));
  int told = 0;
  while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
    const std::string name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size() || pid == ::getpid()) {
      continue;
    }
    // Opened first: whoever is there while it is open stays who he is.
    const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const auto cmdline = read_start("/proc/" + name + "/cmdline", 4096);
    const std::size_t first = cmdline ? cmdline->find('\0') : std::string::npos;
    if (!handle || first == std::string::npos || !cmdline->substr(0, first).ends_with("memcrest") ||
        cmdline->substr(first + 1, 6) != std::string("break\0", 6) || !catches("/proc/" + name, resume_signal())) {
      continue;
    }
    told += ::syscall(SYS_pidfd_send_signal, handle.get(), resume_signal(), nullptr, 0) == 0 ? 1 : 0;
  }
  if (told == 0) {
    spdlog::error("no other 'memcrest break' runs");
    return kExitFailure;
  }
  spdlog::info("told {} to let go", plural(static_cast<std::uint64_t>(told), "memcrest break", "of memcrest break"));
  return kExitOk;
}

TextStyle text_style(bool command) {
  TextStyle style;
  if (!command) {
    const Terminal terminal = terminal_of_stdout();
    style.color = terminal.color;
    style.columns = terminal.columns.value_or(style.columns);
  }
  return style;
}

std::string lines_of(const BreakSettings& settings) {
  std::string out = settings.at ? to_string(*settings.at) : "";
  if (settings.growth) {
    out += (out.empty() ? "" : ", or at ") + ("growth of " + to_string(*settings.growth));
  }
  return out;
}

class Break {
 public:
  Break(const BreakOptions& options, RunSignals* signals)
      : options_(options), signals_(signals), style_(text_style(!options.command.empty())) {}

  int run();

 private:
  [[nodiscard]] bool has_command() const { return !options_.command.empty(); }
  [[nodiscard]] int failed(const Error& error, int code) const;
  [[nodiscard]] Result<void> take_probe(LoadedProbe& probe);
  [[nodiscard]] Result<void> start_guardian(const GuardedTable& guarded);
  void observe(std::span<const Event> events);
  void tell(const Incident& incident);
  void print(const Incident& incident);
  void banner() const;
  int follow();
  [[nodiscard]] bool is_over();
  void finish();

  const BreakOptions& options_;
  RunSignals* signals_;
  TextStyle style_;
  std::optional<Output> output_;  // once the guardian is there: it has a thread
  SystemClock clock_;
  std::optional<CgroupTree> tree_;
  std::optional<RunCgroup> cgroup_;
  std::optional<BreakpointTable> table_;
  std::optional<BreakGuardian> guardian_;
  InjectedSource* injected_ = nullptr;  // of the session
  std::unique_ptr<BreakArms> arms_;
  std::unique_ptr<BreakHolds> holds_;
  std::unique_ptr<Session> session_;
  std::optional<RunChild> child_;
  unsigned signals_seen_ = 0;
};

int Break::failed(const Error& error, int code) const {
  spdlog::error("{}", escape_terminal(error.message()));
  return has_command() ? kExitRunFailed : code;
}

// The hooks are attached, no line is set, no thread runs: the moment for the guardian.
Result<void> Break::take_probe(LoadedProbe& probe) {
  if (probe.own_tgid() != static_cast<std::uint32_t>(::getpid())) {
    return fail("break", "", 0,
                "memcrest runs in a pid namespace of its own (a container without the host's): it could not resume "
                "whom it stops");
  }
  auto table = BreakpointTable::of(probe);
  if (!table) {
    return std::unexpected(table.error());
  }
  table_.emplace(std::move(*table));
  GuardedTable guarded;
  guarded.descriptors = table_->descriptors();
  guarded.disarm = [this] { table_->disarm_all(); };
  guarded.caught = [this] { return table_->stopped(); };
  return start_guardian(guarded);
}

Result<void> Break::start_guardian(const GuardedTable& guarded) {
  auto guardian = BreakGuardian::start(guarded);
  if (!guardian) {
    return std::unexpected(guardian.error());
  }
  guardian_.emplace(std::move(*guardian));
  return {};
}

void Break::observe(std::span<const Event> events) {
  for (const Event& event : events) {
    if (const auto* cgroup = std::get_if<CgroupEvent>(&event)) {
      arms_->note(*cgroup);
    } else if (const auto* hit = std::get_if<BreakpointEvent>(&event)) {
      holds_->hit(*hit);
      arms_->reach(hit->cgroup_id);
    }
  }
}

void Break::print(const Incident& incident) {
  output_->write(options_.json ? to_json(incident) + "\n" : to_text(incident, style_));
}

void Break::tell(const Incident& incident) {
  if (incident.kind == IncidentKind::kOom && arms_->is_ours(incident.cgroup.id)) {
    print(incident);  // the line was too high, or too much came at once
    return;
  }
  Incident whole = incident;
  if (incident.kind == IncidentKind::kBreakpoint && holds_->complete(whole)) {
    print(whole);
  }
}

void Break::banner() const {
  const Features& features = session_->features();
  spdlog::info("breaking at {} · {} · cgroup v{} · kernel {}", lines_of(options_.settings), describe_tiers(features),
               tree_->version(), escape_terminal(features.kernel));
  if (!table_) {
    spdlog::warn("no hook sees charges here: usage is read about every {}, so processes are stopped late",
                 format_duration(kTurn));
  }
  for (const std::string& miss : features.charge.misses) {
    spdlog::info("note: {}", miss);
  }
}

bool Break::is_over() {
  if (has_command()) {
    const bool ended = child_->service(*signals_);
    if (child_->signals_taken() != signals_seen_) {
      signals_seen_ = child_->signals_taken();
      holds_->release_all("resumed: a signal for the command came");
    }
    return ended;
  }
  return stop_requested() || holds_->is_unguarded() || output_->error() != 0 ||
         (options_.settings.once && holds_->ended() > 0 && !holds_->any());
}

int Break::follow() {
  while (!is_over()) {
    if (session_->collector().turn(kTurn) == EventSource::Status::kEnd) {
      break;
    }
    if (g_resume != 0) {
      g_resume = 0;
      holds_->release_all("resumed by 'memcrest break --resume'");
    }
    holds_->tick();  // first, since it learns there whether lines may still be set
    if (!holds_->is_unguarded()) {
      arms_->tick();
    }
  }
  return has_command() && child_->exit() ? child_->exit()->code() : holds_->is_unguarded() ? kExitFailure : kExitOk;
}

// Whoever is held goes on, no line is left, and what was seen is told. Only then the guardian may go.
void Break::finish() {
  const bool alone = holds_->is_unguarded();  // nobody sweeps after us
  const auto release = [&] {
    holds_->release_all(has_command() ? "the command ended" : "resumed: memcrest ended");
    holds_->tick();
    if (alone) {
      holds_->resume_everybody();
    }
  };
  arms_->disarm_all();
  release();
  // A charge that was under way may have caught its thread, and its record may still come.
  const auto begin = std::chrono::steady_clock::now();
  for (auto now = begin; now < begin + (alone ? kAlone : kLeast) || (holds_->any() && now < begin + kSettle);
       now = std::chrono::steady_clock::now()) {
    ignore_result(session_->collector().turn(kTurn));
    release();
  }
  ignore_result(session_->finish());
  release();
  if (guardian_ && !holds_->any()) {
    guardian_->leave();
  }
  guardian_.reset();  // else this waits for it
}

int Break::run() {
  if (!may_signal_all()) {
    return failed({"break", "", EPERM, "CAP_KILL is missing: whoever is stopped could not be resumed"},
                  kExitUnsupported);
  }
  const auto& kind = options_.settings.dump;
  if (const std::string tool = kind ? missing_tool(*kind) : std::string(); !tool.empty()) {
    return failed({"--dump", to_string(*kind), 0, tool + " is not installed"}, kExitUnsupported);
  }
  auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    return failed(tree.error(), kExitUnsupported);
  }
  tree_.emplace(std::move(*tree));
  if (has_command()) {
    auto made = RunCgroup::create(*tree_, {options_.memory_bytes, options_.swap_bytes});
    if (!made) {
      return failed(made.error(), kExitFailure);
    }
    cgroup_.emplace(std::move(*made));
    signal(SIGPIPE, SIG_IGN);
  }
  install_resume_signal();
  TraceOptions trace = options_.trace;
  trace.breakpoints = true;
  SessionHooks hooks;
  hooks.probe = [this](LoadedProbe& probe) { return take_probe(probe); };
  hooks.attached = [this](const Features&) {
    return guardian_ ? Result<void>{}
                     : start_guardian(
                           {.descriptors = {}, .disarm = [] {}, .caught = [] { return std::vector<ProcessKey>(); }});
  };
  hooks.extra = [this] {
    auto source = std::make_unique<InjectedSource>();
    injected_ = source.get();
    return source;
  };
  hooks.observe = [this](std::span<const Event> events) { observe(events); };
  auto session = Session::open(trace, *tree_, [this](const Incident& incident) { tell(incident); }, {}, hooks);
  if (!session) {
    if (cgroup_) {
      ignore_result(cgroup_->remove());
    }
    return failed(session.error().error, session.error().exit_code);
  }
  session_ = std::move(*session);
  output_.emplace(has_command() ? STDERR_FILENO : STDOUT_FILENO);
  // Without a hook that sees charges nobody can be caught in the act.
  if (session_->features().charge.name == "sampled") {
    table_.reset();
  }
  BreakpointTable* table = table_ ? &*table_ : nullptr;
  arms_ = std::make_unique<BreakArms>(options_, *tree_, clock_, table,
                                      [this](const BreakpointEvent& event) { injected_->add(event); });
  holds_ = std::make_unique<BreakHolds>(options_, *tree_, clock_, *arms_, table, guardian_ ? &*guardian_ : nullptr,
                                        [this](const Incident& incident) { print(incident); });
  banner();
  if (has_command()) {
    arms_->arm_command(cgroup_->id(), cgroup_->path());
    auto child = RunChild::spawn(cgroup_->dir(), cgroup_->version(), options_.command, *signals_);
    if (!child) {
      finish();
      ignore_result(cgroup_->remove());
      spdlog::error("{}", escape_terminal(child.error().error.message()));
      return child.error().exit_code;
    }
    child_.emplace(std::move(*child));
  } else {
    arms_->scan(session_->resolver());
  }
  const int code = follow();
  finish();
  output_->close(kDrainMs);
  if (cgroup_) {
    ignore_result(cgroup_->remove());
  }
  spdlog::info("{}; lost: {}", plural(holds_->hits(), "line reached", "lines reached"),
               describe(session_->collector().loss()));
  return code;
}

}  // namespace

int break_at(const BreakOptions& options, RunSignals* signals) {
  if (options.settings.resume) {
    return resume_others();
  }
  if (options.command.empty()) {
    install_stop_signals();
  }
  return Break(options, signals).run();
}

}  // namespace memcrest
