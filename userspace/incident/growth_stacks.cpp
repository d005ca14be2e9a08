// SPDX-License-Identifier: Apache-2.0
#include "incident/growth_stacks.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "incident/numbered.h"
#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxStacks = 16;
constexpr std::size_t kMaxPrograms = 8;

double share_of(std::uint64_t bytes, std::uint64_t total) {
  return total > 0 ? static_cast<double>(bytes) / static_cast<double>(total) : 0;
}

// What makes two frames the same place: the function; where it has no name, the very instruction.
using FrameKey = std::tuple<std::string, std::string, std::uint64_t>;

std::vector<FrameKey> key_of(const NamedStack& stack) {
  std::vector<FrameKey> out;
  // Which kernel function it was makes no other place of it, as long as there is more to tell.
  const auto in_kernel = [](const Frame& frame) { return frame.module == "[kernel]"; };
  const bool only_kernel = std::ranges::all_of(stack.frames, in_kernel);
  for (const Frame& frame : stack.frames) {
    if (in_kernel(frame) && !only_kernel) {
      continue;
    }
    out.emplace_back(frame.module, frame.name, frame.name.empty() ? frame.offset : 0);
  }
  return out;
}

}  // namespace

std::vector<GrowthStack> merge_stacks(const std::vector<StackGrowth>& growth, const StackNames& names,
                                      std::uint64_t seen_bytes) {
  std::map<std::pair<std::vector<FrameKey>, MemoryKind>, GrowthStack> by_place;
  for (std::size_t i = 0; i < std::min(growth.size(), names.stacks.size()); ++i) {
    const NamedStack& stack = names.stacks[i];
    if (stack.frames.empty()) {
      continue;
    }
    GrowthStack& one = by_place[{key_of(stack), growth[i].kind}];
    if (one.bytes == 0) {  // lines and offsets are those of the heaviest, which comes first
      one.frames = stack.frames;
      one.kind = growth[i].kind;
      one.gap = stack.gap;
    }
    one.bytes = saturating_add(one.bytes, growth[i].bytes);
  }
  std::vector<GrowthStack> out;
  for (auto& [place, one] : by_place) {
    one.share = share_of(one.bytes, seen_bytes);
    out.push_back(std::move(one));
  }
  // Stable: equals stay in the order of the map, so that a replay tells the same.
  std::ranges::stable_sort(out, std::ranges::greater{}, &GrowthStack::bytes);
  out.resize(std::min(out.size(), kMaxStacks));
  return out;
}

std::vector<Program> merge_programs(const std::vector<StackGrowth>& growth, std::uint64_t seen_bytes,
                                    const std::function<std::string(const ProcessKey&)>& cmdline) {
  std::map<ProcessKey, std::pair<std::string, std::uint64_t>> by_process;
  for (const StackGrowth& one : growth) {
    auto& [comm, bytes] = by_process[one.process];
    comm = comm.empty() ? one.comm : comm;  // of the heaviest, which comes first: it may run another program since
    bytes = saturating_add(bytes, one.bytes);
  }
  std::map<std::pair<std::string, std::string>, Program> by_name;
  for (const auto& [process, grown] : by_process) {
    const auto& [comm, bytes] = grown;
    const std::string line = cmdline(process);
    Program& one = by_name[{without_digits(comm), without_digits(line)}];
    one.comm = one.processes == 0 ? comm : common_name(one.comm, comm);
    one.cmdline = one.processes == 0 ? line : common_name(one.cmdline, line);
    ++one.processes;
    one.bytes = saturating_add(one.bytes, bytes);
  }
  std::vector<Program> out;
  for (auto& [name, one] : by_name) {
    one.share = share_of(one.bytes, seen_bytes);
    out.push_back(std::move(one));
  }
  std::ranges::stable_sort(out, std::ranges::greater{}, &Program::bytes);
  out.resize(std::min(out.size(), kMaxPrograms));
  return out;
}

}  // namespace memcrest
