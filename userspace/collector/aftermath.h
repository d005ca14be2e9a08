// SPDX-License-Identifier: Apache-2.0
// What the runtime says of the end of a container in which the OOM killer has killed: it can take a while, may never
// come, and may disagree with the kernel ("OOMKilled": false). The incident is told at once and, when the runtime has
// spoken, again with its words. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "memcrest/incident.h"
#include "memcrest/surroundings.h"

namespace memcrest {

class Aftermath {
 public:
  using Sink = std::function<void(const Incident&)>;

  explicit Aftermath(Surroundings& around) : around_(around) {}

  // An incident that was just told. An OOM in a container is followed for ten seconds, a child's too: who waits for
  // the child often ends with it. So is another end of the main process. At most 256 at once.
  void follow(const Incident& incident, std::uint64_t now_ns);
  // Tells those of which the runtime has spoken; looks at most every 50 ms. `last`: look now, since this is the end.
  void collect(std::uint64_t now_ns, bool last, const Sink& sink);
  [[nodiscard]] bool any() const { return !followed_.empty(); }

 private:
  struct Followed {
    Incident incident;
    std::uint64_t cgroup_id = 0;
    std::uint64_t until_ns = 0;
  };

  Surroundings& around_;
  std::vector<Followed> followed_;
  std::uint64_t looked_ns_ = 0;
};

}  // namespace memcrest
