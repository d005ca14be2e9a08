// SPDX-License-Identifier: Apache-2.0
#include "app/run_child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace memcrest {
namespace {

// SIGTSTP, SIGTTIN and SIGTTOU keep their effect: the terminal stops the whole group, memcrest with it.
constexpr std::array kForwarded = {SIGINT,  SIGQUIT, SIGTERM,  SIGHUP, SIGUSR1, SIGUSR2,
                                   SIGALRM, SIGCONT, SIGWINCH, SIGPWR, SIGURG};

// What the child could not do, as it goes through the pipe to the parent.
struct ChildFailure {
  enum Stage : std::int32_t { kJoin, kExec };
  std::int32_t stage = kJoin;
  std::int32_t code = 0;
};

[[noreturn]] void give_up(int pipe, ChildFailure::Stage stage) {
  const ChildFailure failure{stage, errno};
  // If even this fails, the parent sees exit code 125 and no reason.
  if (::write(pipe, &failure, sizeof(failure)) < 0) {
    ::_exit(kExitRunFailed);
  }
  ::_exit(kExitRunFailed);
}

// After fork in a process that may have threads: only async-signal-safe calls.
[[noreturn]] void child_main(int join_fd, int pipe, char* const* argv, const RunSignals& signals) {
  if (join_fd >= 0 && ::write(join_fd, "0", 1) != 1) {
    give_up(pipe, ChildFailure::kJoin);
  }
  signals.restore_for_exec();
  ::execvp(argv[0], argv);
  give_up(pipe, ChildFailure::kExec);
}

// A copy of this process, born in the cgroup. -1 with errno where the kernel or a seccomp filter has no such call.
pid_t clone_into(int cgroup_fd) {
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup_fd);
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof(args)));
}

Result<pid_t> fork_into(const std::string& dir, int version, int pipe, char* const* argv, const RunSignals& signals) {
  if (version == 2) {
    const auto cgroup = open_file(dir, O_RDONLY | O_DIRECTORY);
    if (!cgroup) {
      return std::unexpected(cgroup.error());
    }
    const pid_t pid = clone_into(cgroup->get());
    if (pid == 0) {
      child_main(-1, pipe, argv, signals);
    }
    if (pid > 0) {
      return pid;
    }
    if (errno == EAGAIN || errno == ENOMEM) {
      return fail_errno("start a process in cgroup", dir);
    }
  }
  const auto procs = open_file(dir + "/cgroup.procs", O_WRONLY);
  if (!procs) {
    return std::unexpected(procs.error());
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    child_main(procs->get(), pipe, argv, signals);
  }
  if (pid < 0) {
    return fail_errno("fork", argv[0]);
  }
  return pid;
}

SpawnError to_error(const ChildFailure& failure, const std::string& dir, const std::string& program) {
  if (failure.stage == ChildFailure::kJoin) {
    return {Error{"put the command into cgroup", dir, failure.code, {}}, kExitRunFailed};
  }
  return {Error{"run", program, failure.code, {}}, failure.code == ENOENT ? kExitNotFound : kExitNotExecutable};
}

// How the kernel says in signalfd what it says in siginfo_t: only the parts that forwarding needs.
siginfo_t to_siginfo(const signalfd_siginfo& raw) {
  siginfo_t info{};
  info.si_signo = static_cast<int>(raw.ssi_signo);
  info.si_code = raw.ssi_code;
  info.si_pid = static_cast<pid_t>(raw.ssi_pid);
  return info;
}

void reap_orphans(pid_t main_child) {
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 && info.si_pid != main_child) {
    ::waitpid(info.si_pid, nullptr, WNOHANG);
    info = {};
  }
}

}  // namespace

Result<RunSignals> RunSignals::open() {
  RunSignals made;
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    made.ignored_[static_cast<std::size_t>(number)] =
        ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  if (made.ignored_[SIGCHLD]) {
    ::signal(SIGCHLD, SIG_DFL);  // ignored, the kernel would throw the exit status away
  }
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  for (const int number : kForwarded) {
    sigaddset(&wanted, number);
  }
  if (const int code = ::pthread_sigmask(SIG_BLOCK, &wanted, &made.original_mask_); code != 0) {
    return fail("block signals", {}, code);
  }
  made.fd_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!made.fd_) {
    return fail_errno("signalfd", {});
  }
  return made;
}

RunSignals::~RunSignals() {
  if (fd_) {
    ignore_result(take());  // a Ctrl-C that the command died of must not end us now
    ::pthread_sigmask(SIG_SETMASK, &original_mask_, nullptr);
  }
}

std::vector<siginfo_t> RunSignals::take() {
  std::vector<siginfo_t> taken;
  signalfd_siginfo raw{};
  while (::read(fd_.get(), &raw, sizeof(raw)) == static_cast<ssize_t>(sizeof(raw))) {
    taken.push_back(to_siginfo(raw));
  }
  return taken;
}

void RunSignals::restore_for_exec() const {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) {
      struct sigaction action{};
      action.sa_handler = ignored_[static_cast<std::size_t>(number)] ? SIG_IGN : SIG_DFL;
      ::sigaction(number, &action, nullptr);  // the two numbers that libc keeps for itself refuse, which is right
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &original_mask_, nullptr);
}

bool RunExit::signalled() const { return WIFSIGNALED(status); }
int RunExit::signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
int RunExit::code() const { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

std::expected<RunChild, SpawnError> RunChild::spawn(const std::string& cgroup_dir, int cgroup_version,
                                                    const std::vector<std::string>& argv, const RunSignals& signals) {
  if (argv.empty()) {
    return std::unexpected(SpawnError{Error{"run", "", EINVAL, "no command"}, kExitRunFailed});
  }
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const auto& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: exec does not write
  }
  arguments.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SpawnError{fail_errno("pipe", argv[0]).error(), kExitRunFailed});
  }
  const Fd from_child(ends[0]);
  Fd to_parent(ends[1]);
  const auto pid = fork_into(cgroup_dir, cgroup_version, to_parent.get(), arguments.data(), signals);
  if (!pid) {
    return std::unexpected(SpawnError{pid.error(), kExitRunFailed});
  }
  to_parent.reset();
  // exec closes the pipe, and so does death: either way the read ends.
  ChildFailure failure;
  ssize_t got = 0;
  do {
    got = ::read(from_child.get(), &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof(failure))) {
    ::waitpid(*pid, nullptr, 0);
    return std::unexpected(to_error(failure, cgroup_dir, argv[0]));
  }
  return RunChild(*pid);
}

bool RunChild::wait_for(RunSignals& signals, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!service(signals)) {
    int wait_ms = -1;
    if (timeout.count() >= 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        return false;
      }
      wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    }
    pollfd readable{signals.fd(), POLLIN, 0};
    ::poll(&readable, 1, wait_ms);
  }
  return true;
}

bool RunChild::service(RunSignals& signals) {
  for (const auto& info : signals.take()) {
    if (info.si_signo == SIGCHLD) {
      if (::getpid() == 1) {
        reap_orphans(pid_);
      }
    } else {
      ++signals_taken_;
      forward(info);
    }
  }
  return try_wait();
}

// A signal that the terminal sent went to the whole foreground group: the child has it already, unless it left.
void RunChild::forward(const siginfo_t& info) const {
  const bool from_terminal = info.si_code == SI_KERNEL;
  if (exit_ || (from_terminal && ::getpgid(pid_) == ::getpgrp())) {
    return;
  }
  ::kill(pid_, info.si_signo);
}

bool RunChild::try_wait() {
  if (exit_) {
    return true;
  }
  RunExit ended;
  const pid_t got = ::wait4(pid_, &ended.status, WNOHANG, &ended.usage);
  if (got == pid_) {
    exit_ = ended;
  } else if (got < 0 && errno == ECHILD) {
    ended.status = kExitRunFailed << 8;  // somebody else reaped it: its status is lost
    exit_ = ended;
  }
  return exit_.has_value();
}

}  // namespace memcrest
