// SPDX-License-Identifier: Apache-2.0
// Who grew a cgroup, from its steps: by process, and as one tree of stacks. Bounded. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "export/frame_names.h"
#include "incident/growth_meter.h"
#include "memcrest/event.h"

namespace memcrest {

enum class FrameKind { kAll, kProcess, kUser, kKernel, kRest };
[[nodiscard]] const char* to_string(FrameKind kind);  // "all", "process", "user", "kernel", "rest"

struct StackNode {
  FrameKind kind = FrameKind::kAll;
  std::string name;
  std::string module;                                       // file of its code; empty: not known
  std::uint64_t bytes = 0;                                  // with all that it called
  std::vector<std::pair<MemoryKind, std::uint64_t>> kinds;  // of these bytes
  std::vector<std::uint32_t> children;
};

struct GrownProcess {
  ProcessKey process;  // tgid 0: nobody can be blamed
  std::uint32_t container_pid = 0;
  std::string comm;
  std::uint64_t bytes = 0;
  std::uint64_t page_cache_bytes = 0;
  std::uint64_t steps = 0;
};

// By whom and from where.
class GrowthTree {
 public:
  explicit GrowthTree(std::size_t max_nodes = 8192,
                      std::shared_ptr<const FrameNames> names = std::make_shared<AddressNames>())
      : max_nodes_(max_nodes), names_(std::move(names)), nodes_(1) {}

  void add(const StepEvent& step, const MeteredGrowth& grown);

  // They are not needed any more.
  void forget_names() { names_.reset(); }
  [[nodiscard]] std::uint64_t total_bytes() const { return nodes_.front().bytes; }
  // Heaviest first.
  [[nodiscard]] std::vector<GrownProcess> processes() const;
  // The first is the root; children come after their parents.
  [[nodiscard]] const std::vector<StackNode>& nodes() const { return nodes_; }
  [[nodiscard]] bool has_stacks() const { return has_stacks_; }
  [[nodiscard]] bool has_names() const { return has_names_; }

 private:
  // What makes two frames under one caller the same: the function and its file, or the address.
  using Key = std::pair<std::uint32_t, std::pair<FrameKind, std::string>>;
  void blame(const StepEvent& step, std::uint64_t bytes, bool by_task);
  void count(std::uint32_t node, std::uint64_t bytes, MemoryKind kind);
  // The child of `parent`; the node for the rest where there is no room.
  std::uint32_t child(std::uint32_t parent, FrameKind kind, const std::string& key, std::string name,
                      std::string module);

  std::size_t max_nodes_;
  std::shared_ptr<const FrameNames> names_;
  std::vector<StackNode> nodes_;
  std::map<Key, std::uint32_t> index_;
  std::map<ProcessKey, GrownProcess> processes_;
  bool has_stacks_ = false;
  bool has_names_ = false;
};

}  // namespace memcrest
