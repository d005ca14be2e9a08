// SPDX-License-Identifier: Apache-2.0
// Reads the usage file of cgroups that are active, to see what hooks cannot: memory that is given back. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "identity/cgroup_tree.h"
#include "identity/resolver.h"
#include "memcrest/clock.h"
#include "memcrest/event.h"
#include "util/fd.h"

namespace memcrest {

class UsageSampler {
 public:
  UsageSampler(const CgroupTree& tree, Resolver& resolver, const Clock& clock, std::size_t max_open = 768);

  // One SampleEvent for each of these cgroups that can be read.
  void sample(const std::vector<std::uint64_t>& cgroup_ids, std::vector<SampleEvent>& out);
  void forget(std::uint64_t cgroup_id) { files_.erase(cgroup_id); }

 private:
  const CgroupTree& tree_;
  Resolver& resolver_;
  const Clock& clock_;
  std::size_t max_open_;
  std::map<std::uint64_t, Fd> files_;
};

}  // namespace memcrest
