// SPDX-License-Identifier: Apache-2.0
// Which cgroups there are, kept up to date without hooks: inotify on their directories, and a full look at the tree
// from time to time in case something was missed. Changes nothing. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "collector/cpu_budget.h"
#include "identity/cgroup_tree.h"
#include "util/fd.h"

namespace memcrest {

struct RosterSettings {
  std::size_t max_cgroups = 16384;
  std::size_t max_watches = 32768;  // of inotify; each cgroup takes one, and one more per watched file
  std::chrono::milliseconds rescan{30'000};
  std::chrono::milliseconds rescan_unwatched{1000};  // where some directory could not be watched
  double rescan_share = 0.002;                       // of one CPU; a tree that takes longer is looked at less often
};

struct Cgroup {
  std::uint64_t id = 0;
  std::uint64_t parent_id = 0;
  std::string path;
};

struct CgroupChange {
  Cgroup cgroup;
  bool created = false;   // otherwise removed
  bool at_start = false;  // it was there when we came: nothing is known of its beginning
};

class CgroupRoster {
 public:
  CgroupRoster(const CgroupTree& tree, RosterSettings settings, CpuClock cpu);

  // What came and went since the last call; the first call lists all that exist.
  void refresh(std::uint64_t now_ns, std::vector<CgroupChange>& out);

  // By id, in order: a walk can go on from the last id although cgroups came and went.
  [[nodiscard]] const std::map<std::uint64_t, Cgroup>& all() const { return all_; }
  [[nodiscard]] const Cgroup* find(std::uint64_t id) const;
  [[nodiscard]] const Cgroup* find_path(const std::string& path) const;
  // From now on `id` is among the touched when the kernel says that this file changed. False: it cannot be watched.
  // One file per cgroup.
  bool watch_file(std::uint64_t id, const char* file);
  // Cgroups with a watched file that changed, since the last call.
  [[nodiscard]] std::vector<std::uint64_t> take_touched();
  // Readable when something came, went or was touched; -1: there is no inotify here.
  [[nodiscard]] int wait_fd() const { return inotify_.get(); }

  [[nodiscard]] bool all_watched() const { return inotify_ && unwatched_ == 0; }
  // Looks at the tree that found more cgroups than there is room for.
  [[nodiscard]] std::uint64_t untracked() const { return untracked_; }

 private:
  struct Watches {
    int folder = -1;
    int file = -1;
  };

  void read_events(std::vector<CgroupChange>& out);
  void on_folder_event(const Cgroup& parent, std::uint32_t mask, const std::string& name,
                       std::vector<CgroupChange>& out);
  void rescan(std::uint64_t now_ns, std::vector<CgroupChange>& out);
  void scan_once(bool at_start, std::vector<CgroupChange>& out);
  void add_tree(const std::string& path, std::vector<CgroupChange>& out);
  bool add(std::uint64_t id, const std::string& path, bool at_start, std::vector<CgroupChange>& out);
  void remove_tree(const std::string& path, std::vector<CgroupChange>& out);
  void remove(std::uint64_t id, std::vector<CgroupChange>& out);
  [[nodiscard]] int watch(const std::string& path, std::uint32_t mask, std::uint64_t id);
  void unwatch(int watch);

  const CgroupTree& tree_;
  RosterSettings settings_;
  CpuClock cpu_;
  Fd inotify_;
  std::map<std::uint64_t, Cgroup> all_;
  std::map<std::string, std::uint64_t> by_path_;
  std::unordered_map<std::uint64_t, Watches> watches_;
  std::unordered_map<int, std::uint64_t> watched_;  // watch descriptor -> id
  std::vector<std::uint64_t> touched_;
  std::size_t unwatched_ = 0;  // of the directories
  std::uint64_t untracked_ = 0;
  std::uint64_t next_scan_ns_ = 0;
  bool started_ = false;
  bool overflowed_ = false;
};

}  // namespace memcrest
