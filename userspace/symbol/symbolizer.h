// SPDX-License-Identifier: Apache-2.0
// Gives names to stacks, in threads of its own. Each stack is turned into places in files when it is first seen, while
// its process lives; names are looked up only when an incident asks for them. Everything is bounded, and what had to be
// left out is counted and told with the incident.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/stack.h"
#include "util/system_root.h"

namespace memcrest {

struct SymbolizerSettings {
  std::size_t max_files = 256;              // that are open at once
  std::size_t max_processes = 512;          // whose mappings are known
  std::size_t max_stacks = 8192;            // as places
  std::size_t max_queue = 2048;             // stacks that wait to be looked at
  std::chrono::milliseconds patience{500};  // with one process or file system
  std::chrono::milliseconds job_time{800};  // for all names of one incident
  std::chrono::seconds keep{120};           // a stack, and the files that it lies in
  std::vector<std::string> debug_dirs;      // with separate debug files, by build id
  bool unwinds = false;                     // stacks without frame pointers are unwound by tables, or cannot be here
};

class Symbolizer {
 public:
  struct Status {
    std::size_t files = 0;
    std::size_t processes = 0;
    std::size_t stacks = 0;
    std::uint64_t left_out = 0;  // stacks that were not looked at: too many at once, or the process hung
  };

  Symbolizer(SymbolizerSettings settings, SystemRoot root);
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  // The collector's thread, at each step: cheap, and never waits.
  void seen(const TaskInfo& task, const std::vector<std::uint64_t>& user_stack,
            const std::vector<std::uint64_t>& kernel_stack, bool unwound = false);
  // It runs another program now.
  void started(const ProcessKey& process);

  // As Surroundings::name_stacks.
  [[nodiscard]] StackNames name(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                                std::chrono::milliseconds patience);
  [[nodiscard]] Status status() const;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace memcrest
