// SPDX-License-Identifier: Apache-2.0
// The memory cgroup of `memcrest run`: made, limited, read and removed, on cgroup v1 and v2. No BPF, no printing.
// The name is memcrest-run-<pid>-<n>. A guard process removes the cgroup if this process cannot (kill -9), and
// create() removes empty ones whose owner is gone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/run_guard.h"
#include "identity/cgroup_tree.h"
#include "util/result.h"

namespace memcrest {

struct RunLimits {
  std::optional<std::uint64_t> memory;
  // Swap on top of `memory`, not the sum that v1 calls memsw and `docker --memory-swap` takes. Nothing given: the
  // kernel's default, no limit of its own.
  std::optional<std::uint64_t> swap;
};

// What the cgroup's own files say now. Nothing: this kernel or cgroup version does not tell.
struct RunFigures {
  std::optional<std::uint64_t> usage_bytes;
  std::optional<std::uint64_t> peak_bytes;  // exact, since the cgroup exists; v2 has it from 5.19 on
  std::optional<std::uint64_t> swap_bytes;
  std::optional<std::uint64_t> oom_kills;  // processes killed
  std::optional<std::uint64_t>
      limit_hits;  // charges that met the limit (v1 failcnt of memory and memsw, v2 events max)
  // memory.stat, this cgroup and those below it
  std::optional<std::uint64_t> anon_bytes;
  std::optional<std::uint64_t> file_bytes;  // page cache, shmem included
  std::optional<std::uint64_t> shmem_bytes;
  std::optional<std::uint64_t> kernel_bytes;
};

class RunCgroup {
 public:
  enum class Removal { kRemoved, kInUse };

  // Needs root or a delegated cgroup. Errors say what to do. Call it before threads are started and BPF is loaded: it
  // forks the guard.
  [[nodiscard]] static Result<RunCgroup> create(const CgroupTree& tree, const RunLimits& limits);

  RunCgroup(const RunCgroup&) = delete;
  RunCgroup& operator=(const RunCgroup&) = delete;
  RunCgroup(RunCgroup&&) noexcept = default;
  RunCgroup& operator=(RunCgroup&&) = delete;
  ~RunCgroup() = default;  // not removed yet: the guard does it as soon as nothing runs inside

  [[nodiscard]] const std::string& path() const { return path_; }  // inside the hierarchy
  [[nodiscard]] const std::string& dir() const { return dir_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] int version() const { return version_; }

  [[nodiscard]] RunFigures figures() const;
  // Processes inside, in cgroups below it too. 0 stands for one that this pid namespace cannot name.
  [[nodiscard]] std::vector<pid_t> members() const;
  // Waits up to a quarter of a second for processes that are on their way out. kInUse: something was left running; the
  // guard removes the cgroup when that ends.
  [[nodiscard]] Result<Removal> remove();

 private:
  RunCgroup(RunGuard guard, std::string path, std::string dir, int version)
      : guard_(std::move(guard)), path_(std::move(path)), dir_(std::move(dir)), version_(version) {}
  [[nodiscard]] Result<void> apply(const RunLimits& limits) const;

  RunGuard guard_;
  std::string path_;
  std::string dir_;
  std::uint64_t id_ = 0;
  int version_ = 0;
};

// Where a child cgroup with the memory controller can be made, as a path of the hierarchy. v1: the own cgroup, else
// the root. v2: the own one (only the root may hold both processes and controlled children), its parent, the root;
// the first that hands "memory" to its children, else the first that lets us switch that on.
[[nodiscard]] Result<std::string> choose_run_parent(const CgroupTree& tree);

// Value of `key` in a file of "key value" lines. Pure.
[[nodiscard]] std::optional<std::uint64_t> keyed_number(std::string_view text, std::string_view key);

}  // namespace memcrest
