// SPDX-License-Identifier: Apache-2.0
#include "collector/aftermath.h"

#include <algorithm>

namespace memcrest {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kPatienceNs = 10'000 * kMillisecond;
constexpr std::uint64_t kLookNs = 50 * kMillisecond;
constexpr std::size_t kMaxFollowed = 256;

// Has the runtime told of an end that it had not told before?
bool speaks_of_the_end(const std::optional<RuntimeState>& before, const RuntimeState& now) {
  if (before && before->restart_count && now.restart_count.value_or(0) > *before->restart_count) {
    return true;
  }
  return now.exit_code && now.status != "running" && (!before || before->status != now.status);
}

}  // namespace

void Aftermath::follow(const Incident& incident, std::uint64_t now_ns) {
  const bool container_ended = incident.kind == IncidentKind::kOom && !incident.container.id.empty() &&
                               std::ranges::any_of(incident.victims, &Victim::main_process);
  const bool may_speak =
      incident.container.runtime == Runtime::kDocker || incident.container.runtime == Runtime::kPodman;
  if (container_ended && may_speak && followed_.size() < kMaxFollowed) {
    followed_.push_back({incident, now_ns + kPatienceNs});
  }
}

void Aftermath::collect(std::uint64_t now_ns, bool last, const Sink& sink) {
  if (followed_.empty() || (!last && now_ns - looked_ns_ < kLookNs)) {
    return;
  }
  looked_ns_ = now_ns;
  std::erase_if(followed_, [&](Followed& one) {
    Incident& incident = one.incident;
    const Container now = resolver_.find(incident.cgroup.id).container;
    if (now.id == incident.container.id && now.state && speaks_of_the_end(incident.container.state, *now.state)) {
      incident.update = "runtime_state";
      incident.container.state = now.state;
      sink(incident);
      return true;
    }
    return now_ns >= one.until_ns;
  });
}

}  // namespace memcrest
