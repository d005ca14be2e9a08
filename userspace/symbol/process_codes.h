// SPDX-License-Identifier: Apache-2.0
// What is known of the code of processes, as they were when they last did something. Bounded. Of one thread; asking a
// process waits for as long as the patience lasts.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "memcrest/event.h"
#include "symbol/code_place.h"
#include "util/patience.h"
#include "util/system_root.h"

namespace memcrest {

class ProcessCodes {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `modules` and `patience` are shared with threads that are left alone when they hang.
  ProcessCodes(SystemRoot root, std::shared_ptr<ModuleTable> modules, const Patience& patience, std::size_t most)
      : root_(std::move(root)), modules_(std::move(modules)), patience_(patience), most_(most) {}

  // With the files that `stack` lies in open, as far as they can be had. nullptr: it is gone, or hangs. Valid until the
  // next call.
  [[nodiscard]] const ProcessCode* look(const TaskInfo& task, const std::vector<std::uint64_t>& stack, Time now);
  void forget(const ProcessKey& process) { processes_.erase(process); }
  void forget_before(Time used);
  [[nodiscard]] std::size_t size() const { return processes_.size(); }

 private:
  struct Process {
    ProcessCode code;
    Time looked;
    Time used;
  };

  SystemRoot root_;
  std::shared_ptr<ModuleTable> modules_;
  const Patience& patience_;
  std::size_t most_;
  std::map<ProcessKey, Process> processes_;
};

}  // namespace memcrest
