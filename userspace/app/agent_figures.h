// SPDX-License-Identifier: Apache-2.0
// The figures of containers that the agent shows, with their names: all of them for its metrics, what moved for its
// page.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "collector/live_figures.h"
#include "identity/cgroup_tree.h"
#include "identity/resolver.h"
#include "memcrest/container_memory.h"
#include "serve/live_feed.h"

namespace memcrest {

class AgentFigures {
 public:
  // `tree` outlives it.
  explicit AgentFigures(const CgroupTree& tree) : tree_(tree) {}

  // Names can be looked up from now on: before, there are no figures. `resolver` outlives all calls.
  void attach(Resolver& resolver) { resolver_ = &resolver; }

  // Of all containers that run. Any thread.
  [[nodiscard]] std::vector<ContainerMemory> read_all() const;
  // Any thread; nullopt: nothing is known of it.
  [[nodiscard]] std::optional<Container> container_of(std::uint64_t cgroup_id) const;
  // What moved, and a part of the rest: whoever watches a thousand idle containers costs little. One thread at a time.
  [[nodiscard]] FeedRound read_moved(const UsageBoard::News& news);

 private:
  [[nodiscard]] std::optional<ContainerMemory> named(CgroupKind kind, const CgroupRef& cgroup,
                                                     MemoryFigures figures) const;

  const CgroupTree& tree_;
  std::atomic<Resolver*> resolver_ = nullptr;
  // Of read_moved().
  std::optional<LiveFigures> figures_;
  std::chrono::steady_clock::time_point listed_;
  bool came_ = false;  // a cgroup, since they were listed
  std::unordered_set<std::uint64_t> nameless_;
};

}  // namespace memcrest
