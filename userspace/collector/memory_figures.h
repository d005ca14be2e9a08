// SPDX-License-Identifier: Apache-2.0
// What a cgroup uses and may use, from its control files and those of the cgroups around it. Reads only; needs no
// privilege where the files are readable, as they usually are.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "identity/cgroup_tree.h"
#include "memcrest/container_memory.h"

namespace memcrest {

class CgroupFolder;

// For one look at many cgroups: what it has read of those that lie around others it does not read again. One thread.
class MemoryReader {
 public:
  // `whole_view`: there is nothing above what the tree shows (CgroupTree::whole_hierarchy). `tree` must outlive it.
  MemoryReader(const CgroupTree& tree, bool whole_view) : tree_(tree), whole_view_(whole_view) {}

  // nullopt: the cgroup has gone. `inner` are the cgroups below it: cgroup v1 counts OOM kills for each alone, so those
  // of inner cgroups that are gone are missing there.
  [[nodiscard]] std::optional<MemoryFigures> read(const std::string& path, const std::vector<std::string>& inner = {});
  // The cgroup's own limit; nullopt: none, or not readable.
  [[nodiscard]] std::optional<std::uint64_t> limit_of(const std::string& path) { return level(path).limit_bytes; }

 private:
  struct Level {
    bool known = false;
    int error = 0;  // errno, when not known
    std::optional<std::uint64_t> limit_bytes;
    std::optional<std::uint64_t> usage_bytes;  // where there is a limit
    bool holds_below = true;                   // false: v1 without use_hierarchy, cgroups below are not charged to it
  };

  // `folder`: its own, where that is open.
  const Level& level(const std::string& path, const CgroupFolder* folder = nullptr);
  void read_usage(const CgroupFolder& folder, MemoryFigures& out) const;
  void read_limits(const std::string& path, const CgroupFolder& folder, MemoryFigures& out);
  void read_swap(const CgroupFolder& folder, MemoryFigures& out) const;
  void read_kills(const CgroupFolder& folder, const std::vector<std::string>& inner, MemoryFigures& out) const;

  const CgroupTree& tree_;
  bool whole_view_;
  std::map<std::string, Level> levels_;
};

}  // namespace memcrest
