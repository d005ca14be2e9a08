// SPDX-License-Identifier: Apache-2.0
// The figures of many containers, kept fresh for little: those that moved are read at once, the others in turn, and the
// list of cgroups is made anew only when one came or went. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "collector/cgroup_list.h"
#include "collector/memory_figures.h"

namespace memcrest {

class LiveFigures {
 public:
  // `all`: units and other cgroups too, as `ps --all`. `tree` outlives it.
  LiveFigures(const CgroupTree& tree, bool all) : tree_(tree), all_(all) {}

  void list();
  [[nodiscard]] std::unordered_set<std::uint64_t> running() const;

  struct Figures {
    CgroupKind kind = CgroupKind::kContainer;
    CgroupRef cgroup;
    MemoryFigures memory;
  };
  // Of `wanted` those that are listed, what was never read, and at most `others` more. What has gone meanwhile is left
  // out.
  [[nodiscard]] std::vector<Figures> read(const std::unordered_set<std::uint64_t>& wanted, std::size_t others);

 private:
  const CgroupTree& tree_;
  bool all_;
  std::vector<ListedCgroup> listed_;
  std::unordered_set<std::uint64_t> read_;  // at least once
  std::size_t next_ = 0;
};

}  // namespace memcrest
