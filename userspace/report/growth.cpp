// SPDX-License-Identifier: Apache-2.0
#include "report/growth.h"

#include <algorithm>

#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxProcesses = 1024;

}  // namespace

const char* to_string(FrameKind kind) {
  switch (kind) {
    case FrameKind::kAll:
      return "all";
    case FrameKind::kProcess:
      return "process";
    case FrameKind::kUser:
      return "user";
    case FrameKind::kKernel:
      return "kernel";
    case FrameKind::kRest:
      return "rest";
  }
  return "rest";
}

std::uint32_t GrowthTree::child(std::uint32_t parent, FrameKind kind, const std::string& key, std::string name,
                                std::string module) {
  const bool full = nodes_.size() >= max_nodes_;
  if (full) {
    kind = FrameKind::kRest;
  }
  const auto [found, is_new] =
      index_.try_emplace({parent, {kind, full ? std::string() : key}}, static_cast<std::uint32_t>(nodes_.size()));
  if (is_new) {
    // Room for one rest under each node that is there: never more than twice the bound.
    nodes_.push_back({.kind = kind,
                      .name = full ? "(other stacks)" : std::move(name),
                      .module = full ? std::string() : std::move(module),
                      .bytes = 0,
                      .kinds = {},
                      .children = {}});
    nodes_[parent].children.push_back(found->second);
  }
  return found->second;
}

void GrowthTree::count(std::uint32_t node, std::uint64_t bytes, MemoryKind kind) {
  StackNode& one = nodes_[node];
  one.bytes = saturating_add(one.bytes, bytes);
  auto found = std::ranges::find(one.kinds, kind, &std::pair<MemoryKind, std::uint64_t>::first);
  found = found == one.kinds.end() ? one.kinds.insert(found, {kind, 0}) : found;
  found->second = saturating_add(found->second, bytes);
}

void GrowthTree::blame(const StepEvent& step, std::uint64_t bytes, bool by_task) {
  const TaskInfo& task = step.task;
  const MemoryKind kind = by_task ? step.kind : MemoryKind::kUnknown;
  count(0, bytes, kind);
  const ProcessKey who = !by_task || (processes_.size() >= kMaxProcesses && !processes_.contains(task.process))
                             ? ProcessKey{}
                             : task.process;
  GrownProcess& process = processes_[who];
  process.process = who;
  process.bytes = saturating_add(process.bytes, bytes);
  process.page_cache_bytes = saturating_add(process.page_cache_bytes, by_task && step.page_cache ? bytes : 0);
  ++process.steps;
  if (who.tgid != 0) {
    process.comm = task.comm;
    process.container_pid = task.ns_tgid;
  }
  std::uint32_t at =
      child(0, FrameKind::kProcess, std::to_string(who.tgid) + " " + std::to_string(who.start_ns),
            who.tgid == 0 ? std::string("(nobody known)") : task.comm + "[" + std::to_string(who.tgid) + "]", {});
  count(at, bytes, kind);
  const auto descend = [&](const std::vector<std::uint64_t>& stack, FrameKind frames) {
    for (auto address = stack.rbegin(); address != stack.rend() && nodes_[at].kind != FrameKind::kRest; ++address) {
      const Frame frame = names_->at(frames == FrameKind::kKernel ? nullptr : &task.process, *address);
      std::string label = label_of(frame, *address);
      const std::string key = label + '\0' + frame.module;
      has_names_ = has_names_ || !frame.name.empty();
      at = child(at, frames, key, std::move(label), frame.module);
      count(at, bytes, kind);
      has_stacks_ = true;
    }
  };
  if (who.tgid != 0) {
    descend(step.user_stack, FrameKind::kUser);
    descend(step.kernel_stack, FrameKind::kKernel);
  }
}

void GrowthTree::add(const StepEvent& step, const MeteredGrowth& grown) {
  if (grown.own_bytes > 0) {
    blame(step, grown.own_bytes, grown.by_task);
  }
  if (grown.bytes > grown.own_bytes) {
    blame(step, grown.bytes - grown.own_bytes, false);
  }
}

std::vector<GrownProcess> GrowthTree::processes() const {
  std::vector<GrownProcess> out;
  for (const auto& [key, process] : processes_) {
    out.push_back(process);
  }
  std::ranges::sort(out, {}, [](const GrownProcess& one) { return std::pair(~one.bytes, one.process.tgid); });
  return out;
}

}  // namespace memcrest
