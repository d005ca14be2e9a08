// SPDX-License-Identifier: Apache-2.0
// Command lines and executables of processes, kept from the moment they start, and what their environment sets of
// memory: after a kill there is nobody to ask. Secrets are masked, or never kept. Bounded, the least recently used go
// first. To be used by one thread. /proc/PID/cmdline and environ are memory of that process, so that a read hangs for
// as long as it likes: what ran before is read by another thread, and who asks for one that this has not read waits for
// a quarter of a second at most.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/incident.h"
#include "util/patience.h"
#include "util/redact.h"
#include "util/system_root.h"

namespace memcrest {

class ProcessTable {
 public:
  explicit ProcessTable(SystemRoot root, std::size_t max_processes = 16384,
                        CmdlineDetail detail = CmdlineDetail::kMasked);

  void started(const ExecEvent& event);
  // A process that did something: what no event has told of it is read from /proc while it still exists. Its
  // environment only where that is wanted: the read may have to be waited for.
  void seen(const ProcessKey& process, bool environment = false);
  // Begins to read the processes that run already, in a thread of its own: at most half as many as the table holds.
  void read_running();
  // Takes what that thread has read by now, without waiting; false: there will be no more.
  bool take_running();

  // One line, empty when it could not be had in time.
  [[nodiscard]] std::string cmdline(const ProcessKey& process);
  // Path of the executable, as the process's own file system has it; " (deleted)" follows where it is gone. Where
  // /proc could not be read in time: as it was asked for, perhaps through links. Empty: not known.
  [[nodiscard]] std::string exe(const ProcessKey& process);
  // The processes that it comes from, its parent first, as far as they are known or still there; at most 8.
  [[nodiscard]] std::vector<Parent> parents(const ProcessKey& process);
  // Settings of memory in its environment (memory_environment). Empty: none, or not known; always where only the names
  // of programs are to be kept.
  [[nodiscard]] std::string environment(const ProcessKey& process);
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  struct Program {
    std::string cmdline = {};
    std::string exe = {};
    std::string environment = {};
    std::string comm = {};
    std::uint32_t parent = 0;  // process id; 0: not known
    bool environment_read = false;
    bool looked = false;  // /proc was asked since it started
  };
  struct Memory {
    std::string cmdline;      // raw, perhaps more than is kept
    std::string environment;  // as Program has it
  };
  struct Known {
    Program program;
    std::list<ProcessKey>::iterator age;
  };
  struct Reader {  // reads /proc; a copy for the thread
    SystemRoot root;
    CmdlineDetail detail;
    // Of the process that started then, its memory having just been read; empty when that one is gone.
    [[nodiscard]] Program program(const ProcessKey& key, std::optional<Memory> memory) const;
    [[nodiscard]] std::string cgroup(const ProcessKey& key) const;
    // These may hang for as long as the process does.
    [[nodiscard]] Memory memory(const ProcessKey& key, bool environment) const;
    [[nodiscard]] std::string environment(const ProcessKey& key) const;
    [[nodiscard]] std::string exe(const ProcessKey& key) const;
    [[nodiscard]] std::string folder(const ProcessKey& key) const;
  };
  struct Running {
    std::mutex mutex;
    std::vector<std::pair<ProcessKey, Program>> read;
    bool done = false;
  };
  static void read_all(const Reader& reader, std::size_t most, Running& out);
  Known* find(const ProcessKey& key);
  // Who has or had that process id, and started before `child` did.
  [[nodiscard]] std::optional<ProcessKey> holder(std::uint32_t pid, const ProcessKey& child) const;
  void put(const ProcessKey& key, Program program);
  void put_running(const ProcessKey& key, Program program);

  Reader reader_;
  Patience patience_;
  std::size_t max_;
  std::map<ProcessKey, Known> known_;
  std::list<ProcessKey> by_age_;      // most recently used first
  std::shared_ptr<Running> running_;  // shared with the thread, which may outlive this
};

}  // namespace memcrest
