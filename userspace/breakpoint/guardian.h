// SPDX-License-Identifier: Apache-2.0
// The process that lets go of whom a breakpoint holds when memcrest cannot: it outlives a kill -9 of its parent. It
// disarms the lines first, then resumes every process that the kernel's table names, and thaws what was frozen. Whom a
// line stops is in that table before it is stopped, so there is no moment at which nobody knows of it. It does the same
// where memcrest is there and does not answer: a file of a container that never gives its bytes, a Ctrl-Z.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "memcrest/event.h"
#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

// The kernel's table, as the guardian uses it in a process of its own.
struct GuardedTable {
  std::vector<int> descriptors;                     // to be kept open
  std::function<void()> disarm;                     // all lines
  std::function<std::vector<ProcessKey>()> caught;  // whoever may be stopped
};

struct GuardianSettings {
  std::chrono::milliseconds silence{10'000};
  // A parent that is silent is ended when all were let go: for one whose own parent is to learn of it.
  bool end_parent = false;
};

class BreakGuardian {
 public:
  // Forks the guardian: before threads are started, and before the first line is armed.
  [[nodiscard]] static Result<BreakGuardian> start(const GuardedTable& table, const GuardianSettings& settings = {});

  BreakGuardian(const BreakGuardian&) = delete;
  BreakGuardian& operator=(const BreakGuardian&) = delete;
  BreakGuardian(BreakGuardian&& other) noexcept;
  BreakGuardian& operator=(BreakGuardian&&) = delete;
  ~BreakGuardian();  // as a death: it cleans up, unless dismiss() was called

  // To be told before: a file and what is to be written into it to thaw.
  [[nodiscard]] Result<void> frozen(const std::string& file, const std::string& thaw);
  void thawed(const std::string& file);
  // To be told before a process is stopped that the table does not name.
  [[nodiscard]] Result<void> stopping(const ProcessKey& process);
  void resumed(const ProcessKey& process);
  // A command of this process group, which is ended before anybody is resumed: a debugger among it holds on to them.
  void acting(pid_t group);
  void acted(pid_t group);
  // To be said every second: while somebody is held, so long a silence is a death. False: it has taken over already,
  // which is to say that all lines are gone, and all that were held are let go.
  [[nodiscard]] bool beat();
  // Nobody is held any more, and no line is armed.
  void dismiss();
  // The same, but a charge that was under way may still catch somebody: it looks after them for a second, alone.
  void leave();

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  BreakGuardian(pid_t pid, Fd pipe) : pid_(pid), pipe_(std::move(pipe)) {}
  pid_t pid_ = -1;
  Fd pipe_;
};

}  // namespace memcrest
