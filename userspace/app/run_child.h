// SPDX-License-Identifier: Apache-2.0
// The command of `memcrest run`: started inside its cgroup with our standard streams, its signals and its end.
// The child stays in our process group, so a terminal's job control and Ctrl-C reach it as if memcrest were not there.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

inline constexpr int kExitRunFailed = 125;      // memcrest itself failed
inline constexpr int kExitNotExecutable = 126;  // found, cannot be run
inline constexpr int kExitNotFound = 127;

// What this process does with signals while a command runs: those that are meant for the command are blocked and read
// from fd(). Make it first thing in main, before threads start and before any disposition is changed: the command gets
// the mask and the ignored signals that we were started with (nohup).
class RunSignals {
 public:
  [[nodiscard]] static Result<RunSignals> open();
  RunSignals(const RunSignals&) = delete;
  RunSignals& operator=(const RunSignals&) = delete;
  RunSignals(RunSignals&&) noexcept = default;
  RunSignals& operator=(RunSignals&&) = delete;
  ~RunSignals();

  // Readable when a signal waits or a child ended. For a poll(2) of the caller's own.
  [[nodiscard]] int fd() const { return fd_.get(); }
  // The signals that wait, oldest first. Never blocks.
  [[nodiscard]] std::vector<siginfo_t> take();
  // In the child, before exec. Async-signal-safe.
  void restore_for_exec() const;

 private:
  RunSignals() = default;
  Fd fd_;
  sigset_t original_mask_{};
  std::array<bool, NSIG> ignored_{};
};

// How the command ended.
struct RunExit {
  int status = 0;  // as from wait(2)
  rusage usage{};  // of the command and of the children that it waited for

  [[nodiscard]] bool signalled() const;
  [[nodiscard]] int signal() const;  // 0 when it exited by itself
  [[nodiscard]] int code() const;    // its exit code, or 128 + signal
};

struct SpawnError {
  Error error;
  int exit_code = kExitRunFailed;
};

class RunChild {
 public:
  // Starts argv[0] (searched in PATH, no shell) inside the cgroup at `cgroup_dir`, on v2 born there, on v1 moved there
  // before exec. Returns when the program runs or has failed to. The child inherits our capabilities and resource
  // limits as they are now: spawn before dropping any.
  [[nodiscard]] static std::expected<RunChild, SpawnError> spawn(const std::string& cgroup_dir, int cgroup_version,
                                                                 const std::vector<std::string>& argv,
                                                                 const RunSignals& signals);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Forwards signals and waits for the end, at most `timeout`; negative: no limit. True: the command has ended, exit()
  // has a value. As PID 1 of a container it also reaps whatever was left to us.
  bool wait_for(RunSignals& signals, std::chrono::milliseconds timeout);
  // The steps of wait_for(), for a caller with its own poll loop: forward what waits, then look whether it ended.
  bool service(RunSignals& signals);
  [[nodiscard]] const std::optional<RunExit>& exit() const { return exit_; }
  // How many signals meant for the command were taken so far, those that the terminal gave it included.
  [[nodiscard]] unsigned signals_taken() const { return signals_taken_; }

 private:
  explicit RunChild(pid_t pid) : pid_(pid) {}
  void forward(const siginfo_t& info) const;
  bool try_wait();

  pid_t pid_ = -1;
  std::optional<RunExit> exit_;
  unsigned signals_taken_ = 0;
};

}  // namespace memcrest
