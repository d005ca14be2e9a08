// SPDX-License-Identifier: Apache-2.0
// Where a recorder puts what passes it: one file, files that follow each other, or a memory of the last seconds. All
// but status() are called by one thread, the collector's, and never wait for the disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/stack.h"
#include "memcrest/surroundings.h"
#include "util/result.h"

namespace memcrest {

// What the collector asked the machine, and what it was told: files, names, processes.
struct Answer {
  std::string question;
  std::string text;
  bool operator==(const Answer&) const = default;
};

class RecordingSink {
 public:
  struct Status {
    bool recording = true;
    std::string stopped;  // why it ended before finish(), or why the last file could not be made; empty: neither
    std::uint64_t unrecorded = 0;  // items left out, since the disk was too slow or recording had ended
    std::uint64_t written = 0;     // items
    std::uint64_t bytes = 0;       // of the file and its log, as of the last flush; of several files: of all
    std::uint64_t files = 0;       // begun
    std::string path;              // of the file begun last; empty: none yet
  };

  virtual ~RecordingSink() = default;

  // In the order in which it came about.
  virtual void add(std::span<const Event> events) = 0;
  // False, here and for names: there was no room, and it has to be told again.
  virtual bool add(Answer answer) = 0;
  virtual void add(Moment moment) = 0;
  virtual void add(std::span<const SampleEvent> samples) = 0;  // usage that the collector asked for
  virtual void add(const Incident& incident, std::string json) = 0;
  virtual void add(const LossCount& loss) = 0;
  // Whose cgroup it is, as far as it is known now.
  virtual bool add(const CgroupRef& cgroup, const Container& container) = 0;
  // What lies at addresses of stacks.
  virtual void add(std::vector<CodeName> names) = 0;

  // False: answers would only be thrown away.
  [[nodiscard]] virtual bool wants_answers() const { return true; }
  // False: only the stacks of incidents need names in this cgroup.
  [[nodiscard]] virtual bool wants_code_names(std::uint64_t /*cgroup_id*/) const { return true; }

  // Whether what came before now in this cgroup was given up in part, for want of memory.
  [[nodiscard]] virtual bool is_cut(std::uint64_t /*cgroup_id*/) const { return false; }

  // Between two turns of the collector. True: a new file begins, which knows no answer and no name yet.
  [[nodiscard]] virtual bool begin_turn() { return false; }

  // Writes what waits. Call once; nothing is added afterwards.
  virtual Result<void> finish() = 0;
  [[nodiscard]] virtual Status status() const = 0;  // any thread
};

}  // namespace memcrest
