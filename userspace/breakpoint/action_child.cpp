// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/action_child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "util/fd.h"
#include "util/signal_name.h"
#include "util/units.h"

extern char** environ;  // NOLINT: unistd.h has it with _GNU_SOURCE only

namespace memcrest {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) {
    out.push_back(const_cast<char*>(text.c_str()));  // NOLINT: exec does not write
  }
  out.push_back(nullptr);
  return out;
}

// After fork in a process that has threads: only async-signal-safe calls.
[[noreturn]] void child_main(char* const* argv, char* const* environment, int input, int output, std::uint64_t most) {
  ::setpgid(0, 0);
  const rlimit size{most, most};
  ::setrlimit(RLIMIT_FSIZE, &size);
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) {
      ::signal(number, SIG_DFL);
    }
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvpe(argv[0], argv, environment);
  constexpr char kText[] = "memcrest: the command could not be run\n";
  if (::write(STDERR_FILENO, kText, sizeof(kText) - 1) < 0) {
    ::_exit(126);
  }
  ::_exit(errno == ENOENT ? 127 : 126);
}

}  // namespace

Result<ActionChild> ActionChild::start(const ActionCommand& command) {
  if (command.argv.empty()) {
    return fail("run", "", EINVAL, "no command");
  }
  auto output = open_file(command.output, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  auto nothing = open_file("/dev/null", O_RDONLY);
  if (!output || !nothing) {
    return std::unexpected(output ? nothing.error() : output.error());
  }
  std::vector<std::string> variables;
  for (char** one = environ; *one != nullptr; ++one) {
    variables.emplace_back(*one);
  }
  variables.insert(variables.end(), command.environment.begin(), command.environment.end());
  const auto argv = pointers(command.argv);
  const auto environment = pointers(variables);
  ActionChild out;
  out.name_ = command.argv.front();
  out.until_ = std::chrono::steady_clock::now() + command.most_time;
  out.pid_ = ::fork();
  if (out.pid_ == 0) {
    child_main(argv.data(), environment.data(), command.input >= 0 ? command.input : nothing->get(), output->get(),
               command.most_bytes);
  }
  if (out.pid_ < 0) {
    return fail_errno("fork", out.name_);
  }
  ::setpgid(out.pid_, out.pid_);  // whichever of both comes first
  return out;
}

ActionChild::ActionChild(ActionChild&& other) noexcept { *this = std::move(other); }

ActionChild& ActionChild::operator=(ActionChild&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    name_ = std::move(other.name_);
    ended_ = std::move(other.ended_);
    succeeded_ = other.succeeded_;
    until_ = other.until_;
  }
  return *this;
}

ActionChild::~ActionChild() { end(); }

void ActionChild::end() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    // One that waits for a dead disk does not die: whoever is held must not wait for it.
    for (int i = 0; i < 40 && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++i) {
      ::usleep(5000);
    }
    pid_ = -1;
  }
}

std::string ActionChild::look(bool time_is_over) {
  if (pid_ <= 0) {
    return ended_;
  }
  siginfo_t info{};
  const bool runs =
      ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
  if (runs && !time_is_over && std::chrono::steady_clock::now() < until_) {
    return {};
  }
  if (runs) {
    end();
    ended_ = name_ + " was ended: its time was over";
    return ended_;
  }
  ::kill(-pid_, SIGKILL);  // what it left behind, while the number is still its own
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, WNOHANG);
  pid_ = -1;
  succeeded_ = got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  ended_ = got < 0               ? name_ + ": how it ended is not known"
           : WIFSIGNALED(status) ? name_ + " was ended by " + signal_name(static_cast<std::uint32_t>(WTERMSIG(status)))
                                 : name_ + " ended with " + std::to_string(WEXITSTATUS(status));
  return ended_;
}

bool is_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return ::access(name.c_str(), X_OK) == 0;
  }
  const char* set = std::getenv("PATH");
  const std::string path = set != nullptr ? set : "/usr/bin:/bin";
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    const std::string dir = path.substr(at, end - at);
    if (::access(((dir.empty() ? "." : dir) + "/" + name).c_str(), X_OK) == 0) {
      return true;
    }
    at = end + 1;
  }
  return false;
}

}  // namespace memcrest
