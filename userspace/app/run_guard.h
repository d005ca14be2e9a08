// SPDX-License-Identifier: Apache-2.0
// The small process that removes a cgroup when memcrest itself could not: it outlives a kill -9 of its parent, waits
// until nothing runs in the cgroup any more, removes it and ends. It never ends a process of the user.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

class RunGuard {
 public:
  // Forks the guard. Cheapest before threads, BPF objects and large buffers exist: the guard is a copy of this process
  // (it closes every descriptor but its pipe).
  [[nodiscard]] static Result<RunGuard> start();

  RunGuard(const RunGuard&) = delete;
  RunGuard& operator=(const RunGuard&) = delete;
  RunGuard(RunGuard&& other) noexcept;
  RunGuard& operator=(RunGuard&&) = delete;
  // Leaves the guard on duty when watch() was called and not dismiss().
  ~RunGuard();

  // Tells the guard which directory it answers for. To be called before the directory is made, so that there is no
  // moment at which nobody knows of it; a directory that never comes is fine.
  [[nodiscard]] Result<void> watch(const std::string& dir);
  // The directory is gone: the guard ends, and is reaped.
  void dismiss();

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  RunGuard(pid_t pid, Fd pipe) : pid_(pid), pipe_(std::move(pipe)) {}
  pid_t pid_ = -1;
  Fd pipe_;
  bool watching_ = false;
};

// Names of the cgroups directly below `dir`; empty when it cannot be read.
[[nodiscard]] std::vector<std::string> child_cgroups(const std::string& dir);

// Removes a cgroup directory and the empty cgroups below it. EBUSY: something still runs inside. Gone already is fine.
[[nodiscard]] Result<void> remove_cgroup_tree(const std::string& dir);

}  // namespace memcrest
