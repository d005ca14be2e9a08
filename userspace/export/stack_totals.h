// SPDX-License-Identifier: Apache-2.0
// Who grew by how much, from where: growth summed per cgroup, process, kind and stack. Stacks share their outer frames;
// past its bounds growth is counted without its stack, and in the end without its process. About 150 MiB at most.
// Steps of ancestors are left out: the same memory is a step of the cgroup that was charged, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/recording_exporter.h"

namespace memcrest {

struct StackTotal {
  const std::string& label;  // of the cgroup
  const TaskInfo* task;      // nullptr: nobody can be blamed
  MemoryKind kind = MemoryKind::kUnknown;
  bool page_cache = false;
  bool cut = false;                       // its stack was left out
  std::vector<std::uint64_t> user_stack;  // outermost first, as the next
  std::vector<std::uint64_t> kernel_stack;
  std::uint64_t bytes = 0;
  std::uint64_t steps = 0;
};

class StackTotals {
 public:
  struct Bounds {
    std::size_t frames = 1U << 20U;
    std::size_t totals = 1U << 18U;
    std::size_t labels = 1U << 16U;
    std::size_t processes = 1U << 16U;
  };
  explicit StackTotals(const Bounds& bounds) : bounds_(bounds) {}
  StackTotals() : StackTotals(Bounds{}) {}

  void add(const ExportedStep& step);
  // In the order in which they were first seen.
  template <typename Take>
  void each(Take take) const {
    for (std::size_t i = 0; i < totals_.size(); ++i) {
      take(total(i));
    }
  }
  // In words, as RecordingExporter's.
  [[nodiscard]] std::vector<std::string> left_out() const;

 private:
  static constexpr std::uint32_t kNone = 0;   // a stack without frames, no process
  static constexpr std::uint32_t kCut = ~0U;  // a stack that was left out
  struct Node {
    std::uint32_t caller;
    bool kernel;
    std::uint64_t address;
    bool operator==(const Node&) const = default;
  };
  struct Key {
    std::uint32_t label;
    std::uint32_t process;
    std::uint32_t leaf;
    MemoryKind kind;
    bool page_cache;
    bool operator==(const Key&) const = default;
  };
  struct Sums {
    Key key;
    std::uint64_t bytes;
    std::uint64_t steps;
  };
  struct Process {
    ProcessKey key;
    std::string comm;
    bool operator==(const Process&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Node& node) const;
    std::size_t operator()(const Key& key) const;
    std::size_t operator()(const Process& process) const;
  };
  [[nodiscard]] std::uint32_t label_row(const std::string& label);
  [[nodiscard]] std::uint32_t process_row(const TaskInfo& task);
  [[nodiscard]] std::uint32_t stack_row(const StepEvent& step);
  [[nodiscard]] std::uint32_t callee(std::uint32_t caller, std::uint64_t address, bool kernel);
  [[nodiscard]] StackTotal total(std::size_t index) const;

  Bounds bounds_;
  std::vector<Node> nodes_{Node{}};  // the first is no frame
  std::unordered_map<Node, std::uint32_t, Hash> node_rows_;
  std::vector<std::string> labels_{"[other]"};
  std::unordered_map<std::string, std::uint32_t> label_rows_;
  std::vector<TaskInfo> processes_{TaskInfo{}};  // the first is nobody
  std::unordered_map<Process, std::uint32_t, Hash> process_rows_;
  std::vector<Sums> totals_;
  std::unordered_map<Key, std::size_t, Hash> total_rows_;
  std::uint64_t bytes_without_stack_ = 0;
  std::uint64_t bytes_without_process_ = 0;
};

}  // namespace memcrest
