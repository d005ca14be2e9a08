// SPDX-License-Identifier: Apache-2.0
// What a scenario is played with: a memory cgroup of its own, with limits that are named alike on both versions, and
// processes inside. What does not work throws std::runtime_error: the scenario then failed before memcrest was asked.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "identity/cgroup_tree.h"
#include "util/fd.h"

namespace memcrest::scenarios {

constexpr std::uint64_t kMiB = 1U << 20U;

struct Machine {
  CgroupTree tree;
  std::string kernel;
  std::string memcrest;
  std::string hog;
  bool vm = false;           // ours alone: global OOMs and sysrq are allowed
  int nodes = 1;             // NUMA nodes
  bool swap = false;         // there is some
  std::string block_device;  // one that may be read into the page cache; empty: none
  Fd block_device_open;      // the kernel drops the cache of a device that nobody has open

  [[nodiscard]] static Machine look(std::string memcrest, std::string hog, bool vm);
};

// A memory cgroup; what is left inside is killed and the directory removed when it goes.
class Cgroup {
 public:
  Cgroup(const Machine& machine, std::string path);
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return dir_ + "/" + name; }
  [[nodiscard]] bool has(const std::string& name) const;
  void write(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& name) const;

  void limit(std::uint64_t bytes) const;
  void no_swap() const;  // anonymous memory stays, so that the limit is met
  void allow_children() const;
  void only_node(int node);  // cpuset

  [[nodiscard]] std::uint64_t usage() const;
  [[nodiscard]] std::optional<std::uint64_t> peak() const;       // nothing: v2 before 5.19 keeps it from us
  [[nodiscard]] std::optional<std::uint64_t> oom_kills() const;  // as the kernel counts them
  [[nodiscard]] std::uint64_t event(const std::string& file, const std::string& name) const;
  [[nodiscard]] std::set<pid_t> members() const;
  [[nodiscard]] const std::vector<std::string>& entrances() const { return entrances_; }  // cgroup.procs to write to

 private:
  const Machine& machine_;
  std::string path_;
  std::string dir_;
  std::string cpuset_dir_;
  std::vector<std::string> entrances_;
};

// hog inside a cgroup. Killed and reaped when it goes.
class Hog {
 public:
  Hog(const Machine& machine, const Cgroup& cgroup, const std::string& words);
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;
  Hog(Hog&& other) noexcept : pid_(other.pid_), status_(other.status_) { other.pid_ = -1; }
  Hog& operator=(Hog&&) = delete;
  ~Hog();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Looks whether it ended; true once it has.
  bool ended();
  bool ends_within(std::chrono::milliseconds time);
  [[nodiscard]] bool was_killed() const;
  [[nodiscard]] int exit_code() const;  // -1: by a signal, or not yet

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// True when `condition` came true in time.
template <typename Condition>
bool comes_true(Condition condition, std::chrono::milliseconds within);

void pause_for(std::chrono::milliseconds time);

template <typename Condition>
bool comes_true(Condition condition, std::chrono::milliseconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    pause_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace memcrest::scenarios
