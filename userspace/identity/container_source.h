// SPDX-License-Identifier: Apache-2.0
// One place that knows containers by their id: a runtime's API, later also bundles on disk. Asked from the resolver's
// thread only; each call keeps its own deadline and ends soon after `stop` is asked for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "identity/cgroup_path.h"
#include "memcrest/incident.h"
#include "util/result.h"

namespace memcrest {

struct ContainerFacts {
  std::string name;
  std::string image;
  std::map<std::string, std::string> labels;
  std::optional<std::uint32_t> init_pid;      // host pid of the main process; none when it does not run
  std::optional<std::uint64_t> memory_limit;  // as the runtime was told, in bytes; none: no limit
  std::optional<std::int64_t> swap_limit;     // memory and swap together; -1: no limit
};

class ContainerSource {
 public:
  virtual ~ContainerSource() = default;

  // Whose containers these are, once the source has confirmed one.
  [[nodiscard]] virtual Runtime runtime() const = 0;
  // For a person: "Docker".
  [[nodiscard]] virtual const char* name() const = 0;
  // Is it worth asking about this cgroup?
  [[nodiscard]] virtual bool may_know(const CgroupPath& path) const = 0;

  // What identifies the container: name, image, labels. Must not wait for a container that is just being started or
  // stopped. Nothing: the source has no such container. Errors as for UnixHttp; ETIMEDOUT means do not ask again soon.
  [[nodiscard]] virtual Result<std::optional<ContainerFacts>> look_up(const std::string& id,
                                                                      const std::stop_token& stop) = 0;
  // Everything, the main process included. May fail while the runtime is busy with the container.
  [[nodiscard]] virtual Result<std::optional<ContainerFacts>> inspect(const std::string& id,
                                                                      const std::stop_token& stop) = 0;
};

}  // namespace memcrest
