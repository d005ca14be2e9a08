// SPDX-License-Identifier: Apache-2.0
// Command lines of processes, kept from the moment they start: after a kill there is nobody to ask. Bounded, the
// least recently used go first. One thread.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>

#include "memcrest/event.h"
#include "util/system_root.h"

namespace memcrest {

class ProcessTable {
 public:
  explicit ProcessTable(SystemRoot root, std::size_t max_processes = 16384);

  void started(const ExecEvent& event);
  // A process that did something: its command line is read from /proc while it still exists.
  void seen(const TaskInfo& task);
  // One line, empty when it could not be had in time.
  [[nodiscard]] std::string cmdline(const TaskInfo& task);
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  struct Known {
    std::string cmdline;
    std::list<ProcessKey>::iterator age;
  };
  void put(const ProcessKey& key, std::string cmdline);
  [[nodiscard]] std::string read(const ProcessKey& key) const;

  SystemRoot root_;
  std::size_t max_;
  std::map<ProcessKey, Known> known_;
  std::list<ProcessKey> by_age_;  // most recently used first
};

}  // namespace memcrest
