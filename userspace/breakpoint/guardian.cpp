// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/guardian.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "breakpoint/process_signal.h"

namespace memcrest {
namespace {

constexpr std::string_view kDismissed = "q";
constexpr char kFrozen = 'F';  // FILE, newline, what thaws
constexpr char kThawed = 'T';
constexpr char kStopping = 'S';  // PID, blank, start
constexpr char kResumed = 'R';
constexpr char kActing = 'C';  // GROUP
constexpr char kActed = 'D';
constexpr char kBeat = 'B';
constexpr int kLooks = 10;  // in the time of silence
constexpr useconds_t kPauseUs = 50'000;
// A charge that was under way when the lines went may still catch its thread a moment later.
constexpr int kLeastSweeps = 20;
constexpr int kMostSweeps = 1200;
constexpr std::size_t kLongest = 1U << 20U;

struct Told {
  std::map<std::string, std::string> frozen;  // by file: what thaws it
  std::set<ProcessKey> stopped;
  std::set<pid_t> groups;  // of commands that run
};

void close_all_but(std::vector<int> kept) {
  kept.push_back(STDIN_FILENO);
  std::ranges::sort(kept);
  unsigned first = 0;
  for (const int fd : kept) {
    if (fd >= 0 && static_cast<unsigned>(fd) > first) {
      ::close_range(first, static_cast<unsigned>(fd) - 1, 0);
    }
    first = std::max(first, static_cast<unsigned>(fd) + 1);
  }
  ::close_range(first, ~0U, 0);
}

std::string words_of(const ProcessKey& process) {
  return std::to_string(process.tgid) + " " + std::to_string(process.start_ns);
}

ProcessKey process_of(const std::string& words) {
  char* end = nullptr;
  const auto pid = static_cast<std::uint32_t>(std::strtoul(words.c_str(), &end, 10));
  return {pid, std::strtoull(end, nullptr, 10)};
}

void take(const std::string& message, Told& told) {
  const std::size_t line = message.find('\n');
  if (message.starts_with(kFrozen) && line != std::string::npos) {
    told.frozen[message.substr(1, line - 1)] = message.substr(line + 1);
  } else if (message.starts_with(kThawed)) {
    told.frozen.erase(message.substr(1));
  } else if (message.starts_with(kStopping)) {
    told.stopped.insert(process_of(message.substr(1)));
  } else if (message.starts_with(kResumed)) {
    told.stopped.erase(process_of(message.substr(1)));
  } else if (const auto group = static_cast<pid_t>(std::strtol(message.c_str() + 1, nullptr, 10)); group > 1) {
    if (message.starts_with(kActing)) {
      told.groups.insert(group);
    } else if (message.starts_with(kActed)) {
      told.groups.erase(group);
    }
  }
}

bool holds_any(const GuardedTable& table, const Told& told) {
  return !told.stopped.empty() || !told.frozen.empty() || !table.caught().empty();
}

// Until the parent says that all is well (false), or is gone or silent (true). Time in which this process itself did
// not run, or the machine slept, is not counted as silence.
bool is_gone(int pipe, const GuardedTable& table, std::chrono::milliseconds silence, Told& told) {
  std::string open;
  std::array<char, 4096> buffer{};
  int silent = 0;
  while (true) {
    pollfd wait{pipe, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(silence.count()) / kLooks) == 0) {
      silent = holds_any(table, told) ? silent + 1 : 0;
      if (silent >= kLooks) {
        return true;
      }
      continue;
    }
    silent = 0;
    const ssize_t got = ::read(pipe, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return true;
    }
    for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) {
      if (c != '\0') {
        open.size() < kLongest ? open.push_back(c) : static_cast<void>(0);
        continue;
      }
      if (open == kDismissed) {
        return false;
      }
      take(open, told);
      open.clear();
    }
  }
}

void clean_up(const GuardedTable& table, const Told& told) {
  for (const pid_t group : told.groups) {
    ::kill(-group, SIGKILL);
  }
  std::set<ProcessKey> seen;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    table.disarm();
    bool any = false;
    std::vector<ProcessKey> caught = table.caught();
    caught.insert(caught.end(), told.stopped.begin(), told.stopped.end());
    for (const ProcessKey& process : caught) {
      // At once, since the signal may be on its way; afterwards only one that was stopped all the same.
      const bool stopped = state_of(process) == RunState::kStopped;
      if (seen.insert(process).second || stopped) {
        ignore_result(send_signal(process, SIGCONT));
      }
      any = any || stopped;
    }
    for (const auto& [file, thaw] : told.frozen) {
      ignore_result(write_file(file, thaw));
    }
    if (!any && sweep >= kLeastSweeps) {
      return;
    }
    ::usleep(kPauseUs);
  }
}

[[noreturn]] void guard_main(int pipe, pid_t parent, const GuardedTable& table, const GuardianSettings& settings) {
  ::prctl(PR_SET_NAME, "break-guard");  // 'pkill -9 memcrest' must not end both
  // Out of the terminal's and the shell's reach: whatever ends memcrest as a group must not end its guardian.
  ::setsid();
  // Nor what is meant for its parent.
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP && number != SIGCHLD) {
      ::signal(number, SIG_IGN);
    }
  }
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  if (::chdir("/") != 0 || ::dup2(pipe, STDIN_FILENO) < 0) {
    ::_exit(1);
  }
  // The rest too: programs of the parent stay attached as long as their links are open anywhere.
  close_all_but(table.descriptors);
  Told told;
  if (is_gone(STDIN_FILENO, table, settings.silence, told)) {
    ::shutdown(STDIN_FILENO, SHUT_RDWR);  // nothing that is said from now on is heard
    clean_up(table, told);
    if (settings.end_parent && ::getppid() == parent) {
      ::kill(parent, SIGKILL);
    }
  }
  ::_exit(0);
}

Result<void> say(int pipe, const std::string& message) {
  const ssize_t put = ::send(pipe, message.c_str(), message.size() + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  return put == static_cast<ssize_t>(message.size() + 1) ? Result<void>{} : fail_errno("tell the guardian", "");
}

}  // namespace

Result<BreakGuardian> BreakGuardian::start(const GuardedTable& table, const GuardianSettings& settings) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno("socketpair", "guardian");
  }
  Fd theirs(ends[0]);
  Fd ours(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail_errno("fork", "guardian");
  }
  if (pid == 0) {
    ours.reset();
    guard_main(theirs.get(), parent, table, settings);
  }
  return BreakGuardian(pid, std::move(ours));
}

BreakGuardian::BreakGuardian(BreakGuardian&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pipe_(std::move(other.pipe_)) {}

BreakGuardian::~BreakGuardian() {
  pipe_.reset();
  if (pid_ > 0) {
    ::waitpid(pid_, nullptr, 0);
  }
}

Result<void> BreakGuardian::frozen(const std::string& file, const std::string& thaw) {
  return say(pipe_.get(), kFrozen + file + "\n" + thaw);
}

void BreakGuardian::thawed(const std::string& file) { ignore_result(say(pipe_.get(), kThawed + file)); }

Result<void> BreakGuardian::stopping(const ProcessKey& process) {
  return say(pipe_.get(), kStopping + words_of(process));
}

void BreakGuardian::resumed(const ProcessKey& process) {
  ignore_result(say(pipe_.get(), kResumed + words_of(process)));
}

void BreakGuardian::acting(pid_t group) { ignore_result(say(pipe_.get(), kActing + std::to_string(group))); }

void BreakGuardian::acted(pid_t group) {
  if (group > 0) {
    ignore_result(say(pipe_.get(), kActed + std::to_string(group)));
  }
}

bool BreakGuardian::beat() { return static_cast<bool>(say(pipe_.get(), std::string(1, kBeat))); }

void BreakGuardian::leave() {
  pipe_.reset();
  pid_ = -1;
}

void BreakGuardian::dismiss() {
  if (pipe_) {
    ignore_result(say(pipe_.get(), std::string(kDismissed)));
  }
  pipe_.reset();
  if (pid_ > 0) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

}  // namespace memcrest
