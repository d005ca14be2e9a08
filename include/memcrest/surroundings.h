// SPDX-License-Identifier: Apache-2.0
// What the collector asks of the machine beside events: time, names, files. Its answers and the events determine each
// incident, so a recording that holds both can be replayed. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/container.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"
#include "memcrest/stack.h"

namespace memcrest {

struct Identity {
  bool known = false;        // the cgroup's path is known
  bool pending = false;      // a runtime is being asked; `container` holds what the path tells
  bool more_coming = false;  // some source has not answered yet, though the name may be known
  CgroupRef cgroup;
  Container container;
};

struct Moment {
  std::uint64_t boot_ns = 0;
  std::int64_t unix_ns = 0;
  // Wall time of a moment since boot, as the clocks stand now.
  [[nodiscard]] std::int64_t unix_of(std::uint64_t other_boot_ns) const {
    return unix_ns - static_cast<std::int64_t>(boot_ns - other_boot_ns);
  }
};

// What the machine calls a cgroup's files.
struct MemcgFiles {
  int version = 2;  // of cgroups
  std::string limit;
  std::string peak;
  std::string swap_limit;
};

struct ParentChain {
  std::vector<Parent> parents;
};

class Surroundings {
 public:
  virtual ~Surroundings() = default;

  [[nodiscard]] virtual Moment now() = 0;
  // An event that is about to be handled: it may tell what later questions are about.
  virtual void note(const Event& event) = 0;
  // Once per turn, after its events.
  virtual void tend() = 0;

  // As Resolver's of the same names.
  [[nodiscard]] virtual Identity find(std::uint64_t cgroup_id) = 0;
  [[nodiscard]] virtual Identity find_path(const std::string& path) = 0;
  [[nodiscard]] virtual Identity wait(std::uint64_t cgroup_id, std::chrono::milliseconds limit) = 0;
  [[nodiscard]] virtual std::optional<RuntimeState> runtime_state(std::uint64_t cgroup_id) = 0;
  // Why something of this container may not be known: its runtime's events cannot be followed. Empty: nothing.
  [[nodiscard]] virtual std::string stream_gap(const Container& container, const std::string& cgroup_path) = 0;

  // A number in a cgroup's file; nullopt: no limit, or it could not be read.
  [[nodiscard]] virtual std::optional<std::uint64_t> number(const std::string& cgroup_path,
                                                            const std::string& file) = 0;
  // Usage of these cgroups, as far as it can be read.
  [[nodiscard]] virtual std::vector<SampleEvent> sample(const std::vector<std::uint64_t>& cgroup_ids) = 0;
  [[nodiscard]] virtual HostRanking rank() = 0;
  virtual void complete_names(HostRanking& ranking) = 0;

  // One line with secrets masked; the path of the program. Empty: not known.
  [[nodiscard]] virtual std::string cmdline(const ProcessKey& process) = 0;
  [[nodiscard]] virtual std::string exe(const ProcessKey& process) = 0;
  // The processes that it comes from, as Sender::parents.
  [[nodiscard]] virtual ParentChain parents(const ProcessKey& process) = 0;
  // As Victim::environment.
  [[nodiscard]] virtual std::string environment(const ProcessKey& process) = 0;

  // Names for the stacks of this incident, by its id. Returns within `patience`, with `pending` set when the answer is
  // not there yet; asked until it is, or no more.
  [[nodiscard]] virtual StackNames name_stacks(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                                               std::chrono::milliseconds patience) = 0;
};

}  // namespace memcrest
