// SPDX-License-Identifier: Apache-2.0
#include "export/stack_totals.h"

#include <algorithm>
#include <functional>

#include "util/units.h"

namespace memcrest {
namespace {

std::size_t mix(std::size_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ULL + (hash << 6U) + (hash >> 2U);
  return hash * 0xff51afd7ed558ccdULL;
}

// Sums of a hostile recording may pass any bound.
void add_to(std::uint64_t& sum, std::uint64_t more) {
  if (__builtin_add_overflow(sum, more, &sum)) {
    sum = ~std::uint64_t{0};
  }
}

}  // namespace

std::size_t StackTotals::Hash::operator()(const Node& node) const {
  return mix(mix(node.kernel ? 1 : 0, node.caller), node.address);
}

std::size_t StackTotals::Hash::operator()(const Key& key) const {
  return mix(mix(mix(static_cast<std::uint64_t>(key.kind) * 2 + (key.page_cache ? 1 : 0), key.label), key.process),
             key.leaf);
}

std::size_t StackTotals::Hash::operator()(const Process& process) const {
  return mix(mix(std::hash<std::string>()(process.comm), process.key.tgid), process.key.start_ns);
}

std::uint32_t StackTotals::label_row(const std::string& label) {
  if (const auto found = label_rows_.find(label); found != label_rows_.end()) {
    return found->second;
  }
  if (labels_.size() >= bounds_.labels) {
    return 0;
  }
  labels_.push_back(label);
  return label_rows_[label] = static_cast<std::uint32_t>(labels_.size() - 1);
}

std::uint32_t StackTotals::process_row(const TaskInfo& task) {
  const Process key{task.process, task.comm};
  if (const auto found = process_rows_.find(key); found != process_rows_.end()) {
    return found->second;
  }
  if (processes_.size() >= bounds_.processes) {
    return kNone;
  }
  processes_.push_back(task);
  return process_rows_[key] = static_cast<std::uint32_t>(processes_.size() - 1);
}

std::uint32_t StackTotals::callee(std::uint32_t caller, std::uint64_t address, bool kernel) {
  const Node node{caller, kernel, address};
  if (const auto found = node_rows_.find(node); found != node_rows_.end()) {
    return found->second;
  }
  if (nodes_.size() >= bounds_.frames) {
    return kCut;
  }
  nodes_.push_back(node);
  return node_rows_[node] = static_cast<std::uint32_t>(nodes_.size() - 1);
}

std::uint32_t StackTotals::stack_row(const StepEvent& step) {
  std::uint32_t at = kNone;
  for (const auto& [stack, kernel] : {std::pair(&step.user_stack, false), std::pair(&step.kernel_stack, true)}) {
    for (auto address = stack->rbegin(); address != stack->rend() && at != kCut; ++address) {
      at = callee(at, *address, kernel);
    }
  }
  return at;
}

void StackTotals::add(const ExportedStep& step) {
  if (step.growth.bytes == 0 || step.event.ancestor) {
    return;
  }
  Key key{label_row(step.cgroup.label), kNone, kNone, step.event.kind, step.event.page_cache};
  if (step.growth.by_task) {
    key.process = process_row(step.event.task);
    key.leaf = key.process == kNone ? kCut : stack_row(step.event);
  }
  auto found = total_rows_.find(key);
  if (found == total_rows_.end() && totals_.size() >= bounds_.totals) {
    key.leaf = kCut;
    found = total_rows_.find(key);
    // So many processes that there is no room for one total each.
    if (found == total_rows_.end() && totals_.size() >= bounds_.totals + bounds_.processes) {
      key = {0, kNone, kCut, MemoryKind::kUnknown, false};
      found = total_rows_.find(key);
    }
  }
  if (found == total_rows_.end()) {
    found = total_rows_.emplace(key, totals_.size()).first;
    totals_.push_back({key, 0, 0});
  }
  add_to(totals_[found->second].bytes, step.growth.bytes);
  ++totals_[found->second].steps;
  add_to(bytes_without_stack_, key.leaf == kCut ? step.growth.bytes : 0);
  add_to(bytes_without_process_, step.growth.by_task && key.process == kNone ? step.growth.bytes : 0);
}

StackTotal StackTotals::total(std::size_t index) const {
  const Sums& sums = totals_[index];
  StackTotal out{.label = labels_[sums.key.label],
                 .task = sums.key.process == kNone ? nullptr : &processes_[sums.key.process],
                 .kind = sums.key.kind,
                 .page_cache = sums.key.page_cache,
                 .cut = sums.key.leaf == kCut,
                 .user_stack = {},
                 .kernel_stack = {},
                 .bytes = sums.bytes,
                 .steps = sums.steps};
  for (std::uint32_t at = out.cut ? kNone : sums.key.leaf; at != kNone; at = nodes_[at].caller) {
    (nodes_[at].kernel ? out.kernel_stack : out.user_stack).push_back(nodes_[at].address);
  }
  std::ranges::reverse(out.user_stack);
  std::ranges::reverse(out.kernel_stack);
  return out;
}

std::vector<std::string> StackTotals::left_out() const {
  std::vector<std::string> out;
  if (bytes_without_stack_ > 0) {
    out.push_back("more different stacks than fit in memory: " + format_size(bytes_without_stack_) +
                  " of growth are told without theirs");
  }
  if (bytes_without_process_ > 0) {
    out.push_back("more processes than fit in memory: " + format_size(bytes_without_process_) +
                  " of growth are told without theirs");
  }
  return out;
}

}  // namespace memcrest
