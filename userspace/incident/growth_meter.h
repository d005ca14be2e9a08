// SPDX-License-Identifier: Apache-2.0
// By how much cgroups grew, from step to step, as burst_track.cpp counts it: what was read of a usage file may have
// fallen, records that were overtaken tell nothing new, and growth waits for the step that tells whose it is. Bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "memcrest/event.h"

namespace memcrest {

struct MeteredGrowth {
  std::uint64_t bytes = 0;
  bool by_task = false;  // the step's task is to be blamed for own_bytes
  // Of these, what the step's task made. Less than all of an ancestor, which is looked at when one of its children
  // takes a step: only one quantum is known to be the task's.
  std::uint64_t own_bytes = 0;
};

class GrowthMeter {
 public:
  explicit GrowthMeter(std::size_t max_cgroups = 65536) : max_cgroups_(max_cgroups) {}

  // Of the first step of a cgroup nothing is known, unless it was seen to begin.
  [[nodiscard]] MeteredGrowth add(const StepEvent& step);
  void add(const SampleEvent& sample);
  void add(const CgroupEvent& event);
  // What was not counted to stay within the bound, in words; empty: nothing.
  [[nodiscard]] std::string left_out() const;

 private:
  struct Told {
    std::uint64_t serial = 0;
    std::uint64_t newest_ns = 0;
    std::uint64_t bytes = 0;  // usage up to which steps say who
  };
  void make_room();

  std::size_t max_cgroups_;
  std::unordered_map<std::uint64_t, Told> told_;  // by cgroup id
  std::uint64_t forgotten_ = 0;                   // times that all were
};

}  // namespace memcrest
