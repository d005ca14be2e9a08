// SPDX-License-Identifier: Apache-2.0
#include "app/run_guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr char kDismissed = 'q';
constexpr unsigned kFirstPauseUs = 20'000;
constexpr unsigned kLongestPauseUs = 2'000'000;
constexpr std::array kCaught = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM};

void close_all_from(unsigned first) {
  if (::close_range(first, ~0U, 0) == 0) {
    return;
  }
  const long most = std::clamp(::sysconf(_SC_OPEN_MAX), 256L, 65536L);
  for (int fd = static_cast<int>(first); fd < most; ++fd) {
    ::close(fd);
  }
}

void set_dispositions(void (*handler)(int)) {
  for (const int signal_number : kCaught) {
    ::signal(signal_number, handler);
  }
}

// Everything the parent has to say: the directory, ended by NUL, then kDismissed or the end of the stream.
// Returns false when there is nothing to remove.
bool listen(int pipe, std::string& dir) {
  bool have_dir = false;
  std::array<char, PATH_MAX> buffer{};
  while (true) {
    const ssize_t got = ::read(pipe, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return have_dir;
    }
    for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) {
      if (have_dir) {
        if (c == kDismissed) {
          return false;
        }
      } else if (c == '\0') {
        have_dir = true;
      } else {
        dir.push_back(c);
      }
    }
  }
}

[[noreturn]] void guard_main(int pipe) {
  ::prctl(PR_SET_NAME, "memcrest-guard");
  // Out of the terminal's and the shell's reach: whatever ends memcrest as a group must not end its guard.
  ::setsid();
  set_dispositions(SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  if (::chdir("/") != 0 || ::dup2(pipe, STDIN_FILENO) < 0) {
    ::_exit(1);
  }
  // Streams too: a reader of memcrest's output must see its end although the guard lives on.
  close_all_from(STDOUT_FILENO);
  std::string dir;
  if (!listen(STDIN_FILENO, dir)) {
    ::_exit(0);
  }
  // From here on the user's command may run for long; whoever shuts the machine down may end the guard.
  set_dispositions(SIG_DFL);
  unsigned pause = kFirstPauseUs;
  while (true) {
    const auto removed = remove_cgroup_tree(dir);
    if (removed || removed.error().code != EBUSY) {
      ::_exit(removed ? 0 : 1);
    }
    ::usleep(pause);
    pause = std::min(pause * 2, kLongestPauseUs);
  }
}

}  // namespace

Result<RunGuard> RunGuard::start() {
  // A socket pair rather than a pipe: MSG_NOSIGNAL spares the parent a SIGPIPE should somebody end the guard.
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno("socketpair", "cgroup guard");
  }
  Fd theirs(ends[0]);
  Fd ours(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail_errno("fork", "cgroup guard");
  }
  if (pid == 0) {
    ours.reset();
    guard_main(theirs.get());
  }
  return RunGuard(pid, std::move(ours));
}

RunGuard::RunGuard(RunGuard&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pipe_(std::move(other.pipe_)), watching_(other.watching_) {}

RunGuard::~RunGuard() {
  pipe_.reset();
  if (pid_ > 0 && !watching_) {
    ::waitpid(pid_, nullptr, 0);
  }
}

Result<void> RunGuard::watch(const std::string& dir) {
  std::string message = dir;
  message.push_back('\0');
  const ssize_t put = ::send(pipe_.get(), message.data(), message.size(), MSG_NOSIGNAL);
  if (put != static_cast<ssize_t>(message.size())) {
    return fail_errno("tell the cgroup guard of", dir);
  }
  watching_ = true;
  return {};
}

void RunGuard::dismiss() {
  if (!pipe_) {
    return;
  }
  ::send(pipe_.get(), &kDismissed, 1, MSG_NOSIGNAL);
  watching_ = false;
  pipe_.reset();
  if (pid_ > 0) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

std::vector<std::string> child_cgroups(const std::string& dir) {
  std::vector<std::string> names;
  const Directory listing(::opendir(dir.c_str()));
  while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  return names;
}

Result<void> remove_cgroup_tree(const std::string& dir) {
  if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) {
    return {};
  }
  if (errno != EBUSY && errno != ENOTEMPTY) {
    return fail_errno("remove cgroup", dir);
  }
  const auto children = child_cgroups(dir);
  for (const auto& child : children) {
    if (auto removed = remove_cgroup_tree(dir + '/' + child); !removed) {
      return removed;
    }
  }
  if (children.empty() || (::rmdir(dir.c_str()) != 0 && errno != ENOENT)) {
    return fail("remove cgroup", dir, EBUSY);
  }
  return {};
}

}  // namespace memcrest
