// SPDX-License-Identifier: Apache-2.0
// Command lines and executables of processes, kept from the moment they start: after a kill there is nobody to ask.
// Secrets are masked before anything is kept. Bounded, the least recently used go first. One thread.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "memcrest/event.h"
#include "util/redact.h"
#include "util/system_root.h"

namespace memcrest {

class ProcessTable {
 public:
  explicit ProcessTable(SystemRoot root, std::size_t max_processes = 16384,
                        CmdlineDetail detail = CmdlineDetail::kMasked);

  void started(const ExecEvent& event);
  // A process that did something: what no event has told of it is read from /proc while it still exists.
  void seen(const ProcessKey& process);
  // Reads the next few processes that ran before anything was watched; false: there are no more. Fills at most half of
  // the table.
  bool read_more_running();

  // One line, empty when it could not be had in time.
  [[nodiscard]] std::string cmdline(const ProcessKey& process);
  // Path of the executable, as the process's own file system has it; " (deleted)" follows where it is gone. Where
  // /proc could not be read in time: as it was asked for, perhaps through links. Empty: not known.
  [[nodiscard]] std::string exe(const ProcessKey& process);
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  struct Program {
    std::string cmdline = {};
    std::string exe = {};
    bool looked = false;  // /proc was asked since it started
  };
  struct Known {
    Program program;
    std::list<ProcessKey>::iterator age;
  };
  struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  Known* find(const ProcessKey& key);
  void put(const ProcessKey& key, Program program);
  void read_running(std::uint32_t pid);
  [[nodiscard]] std::string line(const std::string& raw, bool cut) const;
  [[nodiscard]] Program read(const ProcessKey& key) const;

  SystemRoot root_;
  std::size_t max_;
  CmdlineDetail detail_;
  std::map<ProcessKey, Known> known_;
  std::list<ProcessKey> by_age_;  // most recently used first
  std::unique_ptr<DIR, CloseDir> running_;
  bool running_read_ = false;
};

}  // namespace memcrest
