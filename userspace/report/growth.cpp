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

template <typename Name>
std::uint32_t GrowthTree::child(std::uint32_t parent, FrameKind kind, std::uint64_t key, Name name) {
  if (nodes_.size() >= max_nodes_) {
    kind = FrameKind::kRest;
    key = 0;
  }
  const auto [found, is_new] = index_.try_emplace({parent, {kind, key}}, static_cast<std::uint32_t>(nodes_.size()));
  if (is_new) {
    // Room for one rest under each node that is there: never more than twice the bound.
    nodes_.push_back({kind, kind == FrameKind::kRest ? "(other stacks)" : name(), 0, {}});
    nodes_[parent].children.push_back(found->second);
  }
  return found->second;
}

void GrowthTree::blame(const StepEvent* step, std::uint64_t bytes, bool page_cache, const TaskInfo& task) {
  nodes_[0].bytes = saturating_add(nodes_[0].bytes, bytes);
  const ProcessKey who = step == nullptr || (processes_.size() >= kMaxProcesses && !processes_.contains(task.process))
                             ? ProcessKey{}
                             : task.process;
  GrownProcess& process = processes_[who];
  process.process = who;
  process.bytes = saturating_add(process.bytes, bytes);
  process.page_cache_bytes = saturating_add(process.page_cache_bytes, page_cache ? bytes : 0);
  ++process.steps;
  if (who.tgid != 0) {
    process.comm = task.comm;
    process.container_pid = task.ns_tgid;
  }
  const std::uint64_t key = (static_cast<std::uint64_t>(who.tgid) << 32U) ^ who.start_ns;
  std::uint32_t at = child(0, FrameKind::kProcess, key, [&] {
    return who.tgid == 0 ? std::string("(nobody known)") : task.comm + "[" + std::to_string(who.tgid) + "]";
  });
  nodes_[at].bytes = saturating_add(nodes_[at].bytes, bytes);
  const auto descend = [&](const std::vector<std::uint64_t>& stack, FrameKind kind) {
    for (auto address = stack.rbegin(); address != stack.rend() && nodes_[at].kind != FrameKind::kRest; ++address) {
      at = child(at, kind, *address, [&] {
        return kind == FrameKind::kKernel ? names_->kernel(*address) : names_->user(task.process, *address);
      });
      nodes_[at].bytes = saturating_add(nodes_[at].bytes, bytes);
      has_stacks_ = true;
    }
  };
  if (who.tgid != 0) {
    descend(step->user_stack, FrameKind::kUser);
    descend(step->kernel_stack, FrameKind::kKernel);
  }
}

// Of an ancestor, which is looked at when one of its children takes a step, only one quantum is known to be the task's.
GrowthGauge::Grown GrowthGauge::step(const StepEvent& step) {
  const bool base_line = first_ && !step.up;
  const std::uint64_t before = first_ && step.up ? saturating_sub(step.usage_bytes, step.quantum_bytes) : told_bytes_;
  first_ = false;
  told_bytes_ = step.usage_bytes;
  if (base_line || step.usage_bytes <= before) {
    return {};
  }
  const std::uint64_t grown = step.usage_bytes - before;
  const std::uint64_t own = step.ancestor ? std::min(grown, step.quantum_bytes) : grown;
  return {own, grown - own};
}

void GrowthTree::add(const StepEvent& step, const GrowthGauge::Grown& grown) {
  if (grown.own > 0) {
    blame(step.foreign ? nullptr : &step, grown.own, step.page_cache, step.task);
  }
  if (grown.other > 0) {
    blame(nullptr, grown.other, false, step.task);
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
