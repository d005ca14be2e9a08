// SPDX-License-Identifier: Apache-2.0
// `memcrest run`: one command in a memory cgroup of its own, and what it needed. The kernel's counters give the peak;
// hooks, where they can be had, add bursts and the story of a kill.
#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "app/exit_codes.h"
#include "app/recording_text.h"
#include "app/run_cgroup.h"
#include "app/run_report.h"
#include "app/session.h"
#include "app/verbs.h"
#include "util/fd.h"
#include "util/redact.h"
#include "util/text.h"

namespace memcrest {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxListed = 1000;           // incidents kept for the report; later bursts are only counted
constexpr std::chrono::milliseconds kLook{10};     // between two readings of memory.stat
constexpr std::chrono::milliseconds kSettle{100};  // for records of the last moments to arrive

bool is_inside(const std::string& path, const std::string& parent) {
  return path == parent || (path.starts_with(parent) && path.size() > parent.size() && path[parent.size()] == '/');
}

// Turns of the collector, and readings of the page cache near the peak, on a thread of their own: the main thread
// passes signals on.
class Follower {
 public:
  Follower(Session* session, const RunCgroup& cgroup) : session_(session), cgroup_(cgroup) {}
  ~Follower() { stop(); }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void start() {
    thread_ = std::thread([this] { work(); });
  }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  // After stop().
  [[nodiscard]] std::uint64_t highest_seen() const { return highest_; }
  [[nodiscard]] std::optional<std::uint64_t> needed_seen() const { return needed_; }
  [[nodiscard]] const Result<void>& finished() const { return finished_; }

 private:
  void work() {
    auto next = steady_clock::now();
    while (!stopping_) {
      if (session_ != nullptr) {
        ignore_result(session_->collector().turn(kLook));
      } else {
        std::this_thread::sleep_for(kLook);
      }
      if (steady_clock::now() >= next) {
        look();
        next = steady_clock::now() + kLook;
      }
    }
    const auto end = steady_clock::now() + kSettle;
    while (session_ != nullptr && steady_clock::now() < end) {
      ignore_result(session_->collector().turn(kLook));
    }
    if (session_ != nullptr) {
      finished_ = session_->finish();
    }
  }

  void look() {
    const RunFigures now = cgroup_.figures();
    if (now.usage_bytes && now.file_bytes) {
      const std::uint64_t cache = *now.file_bytes - std::min(*now.file_bytes, now.shmem_bytes.value_or(0));
      highest_ = std::max(highest_, *now.usage_bytes);
      needed_ = std::max(needed_.value_or(0), *now.usage_bytes - std::min(*now.usage_bytes, cache));
    }
  }

  Session* session_;
  const RunCgroup& cgroup_;
  std::atomic<bool> stopping_{false};
  std::uint64_t highest_ = 0;
  std::optional<std::uint64_t> needed_;
  Result<void> finished_;
  std::thread thread_;
};

std::size_t error_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? std::max<std::size_t>(size.ws_col, 60) : 100;
}

bool write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
    if (put < 0 && errno != EINTR) {
      return false;
    }
    done += put > 0 ? static_cast<std::size_t>(put) : 0;
  }
  return true;
}

void tell_recording(const Session& session, const Result<void>& finished) {
  if (const auto status = session.recording()) {
    if (!finished) {
      spdlog::error("the recording could not be ended: {}", escape_terminal(finished.error().message()));
    }
    describe_recording(*status);
  }
}

int failed(const Error& error) {
  spdlog::error("{}", escape_terminal(error.message()));
  return kExitRunFailed;
}

}  // namespace

int run(const RunOptions& options, RunSignals& signals) {
  // Opened before the command runs: a report that cannot be written must not cost a run.
  Fd file;
  if (!options.output.empty()) {
    auto opened = open_file(options.output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!opened) {
      return failed(opened.error());
    }
    file = std::move(*opened);
  }
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    return failed(tree.error());
  }
  RunReport report;
  report.command = redact_arguments({options.command.begin(), options.command.end()}, false, options.trace.cmdlines);
  report.limits = {options.memory_bytes, options.swap_bytes};
  auto cgroup = RunCgroup::create(*tree, report.limits);
  if (!cgroup) {
    return failed(cgroup.error());
  }
  signal(SIGPIPE, SIG_IGN);

  RecordOptions record = options.record;
  if (!record.path.empty()) {
    record.wanted = [&](const CgroupRef& one, const Container&) { return is_inside(one.path, cgroup->path()); };
    record.filter = "--cgroup " + cgroup->path();
  }
  std::mutex mutex;
  const auto tell = [&](const Incident& incident) {
    const std::lock_guard lock(mutex);
    if (!is_inside(incident.cgroup.path, cgroup->path())) {
      return;
    }
    const auto same = std::ranges::find(report.incidents, incident.id, &Incident::id);
    if (!incident.update.empty() && same != report.incidents.end()) {
      *same = incident;
      return;
    }
    if (incident.kind == IncidentKind::kBurst && report.incidents.size() >= kMaxListed) {
      ++report.bursts_not_listed;
      return;
    }
    report.incidents.push_back(incident);
  };
  auto session = Session::open(options.trace, *tree, tell, record);
  // A recording that was asked for and cannot be made is no reason to run without it.
  if (!session && (session.error().exit_code == kExitUsage || !record.path.empty())) {
    ignore_result(cgroup->remove());
    return failed(session.error().error);
  }
  if (!session) {
    report.no_hooks_reason = session.error().error.message();
    spdlog::warn("no bursts will be seen: {}", escape_terminal(report.no_hooks_reason));
  }

  const auto begin = steady_clock::now();
  auto child = RunChild::spawn(cgroup->dir(), cgroup->version(), options.command, signals);
  if (!child) {
    ignore_result(cgroup->remove());
    failed(child.error().error);
    return child.error().exit_code;
  }
  Follower follower(session ? session->get() : nullptr, *cgroup);
  follower.start();
  while (!child->wait_for(signals, std::chrono::milliseconds(-1))) {
  }
  report.duration = steady_clock::now() - begin;
  report.exit = *child->exit();
  report.figures = cgroup->figures();
  follower.stop();
  report.highest_seen_bytes = follower.highest_seen();
  report.needed_seen_bytes = follower.needed_seen();
  if (session) {
    report.tiers = describe_tiers((*session)->features());
    report.loss = (*session)->collector().loss();
    tell_recording(**session, follower.finished());
  }
  const auto removed = cgroup->remove();
  if (!removed) {
    spdlog::warn("{}", escape_terminal(removed.error().message()));
  } else if (*removed == RunCgroup::Removal::kInUse) {
    report.left_behind = cgroup->members().size();
  }
  const std::string text = options.json ? to_json(report) + "\n" : to_text(report, file ? 100 : error_columns());
  if (!write_all(file ? file.get() : STDERR_FILENO, text) && file) {
    return failed({"write", options.output, errno, {}});
  }
  return report.exit.code();
}

}  // namespace memcrest
