// SPDX-License-Identifier: Apache-2.0
// From places in files to names: the files of a module, each read once for all that is asked of it, and what runtimes
// write of the code that they make. Of one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "memcrest/stack.h"
#include "symbol/code_place.h"
#include "util/patience.h"

namespace memcrest {

struct ProcessStack {
  PlacedStack placed;
  std::shared_ptr<Fd> perf_map;  // of the process; nullptr: none
  bool unwound = false;          // by tables, not along frame pointers
};

class FrameFinder {
 public:
  explicit FrameFinder(const Patience& patience) : patience_(patience) {}

  // Stacks may be nullptr. False: not all of it could be read, or not in time.
  bool look_up(const std::vector<std::shared_ptr<const ProcessStack>>& stacks,
               std::chrono::steady_clock::time_point until);
  // With the names that look_up() found last.
  [[nodiscard]] std::vector<Frame> frames_of(const ProcessStack& stack) const;
  // Whether its innermost function sets up a frame. Of code that is not in a file nothing is known.
  [[nodiscard]] static bool innermost_framed(const PlacedStack& stack);

 private:
  bool name_module(const std::shared_ptr<Module>& module, const std::set<std::uint64_t>& addresses);
  bool name_jit(const std::shared_ptr<Fd>& map, const std::set<std::uint64_t>& addresses);

  const Patience& patience_;
  std::map<std::pair<const Fd*, std::uint64_t>, std::string> jit_names_;  // of what was looked up last
};

}  // namespace memcrest
