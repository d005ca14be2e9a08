// SPDX-License-Identifier: Apache-2.0
#include "collector/aftermath.h"
#include "util/units.h"

#include <algorithm>

namespace memcrest {
namespace {

constexpr std::uint64_t kPatienceNs = 10'000 * kMillisecond;
constexpr std::uint64_t kLookNs = 50 * kMillisecond;
constexpr std::size_t kMaxFollowed = 256;

// Has the runtime told of an end that followed the kill, and had not told it before? What it says of an earlier life of
// the container is no news.
bool speaks_of_the_end(const Incident& incident, const RuntimeState& now) {
  const std::optional<RuntimeState>& before = incident.container.state;
  if (before && before->restart_count && now.restart_count.value_or(0) > *before->restart_count) {
    return true;
  }
  if (now.finished_unix_ns) {
    return ended_after(now, incident.unix_ns) && (!before || before->finished_unix_ns != now.finished_unix_ns);
  }
  return now.exit_code && now.status != "running" && (!before || before->status != now.status);
}

}  // namespace

void Aftermath::follow(const Incident& incident, std::uint64_t now_ns) {
  const bool killed = (incident.kind == IncidentKind::kOom && !incident.victims.empty()) ||
                      (incident.end && incident.end->main_process);
  const bool may_speak =
      incident.container.runtime == Runtime::kDocker || incident.container.runtime == Runtime::kPodman;
  if (killed && may_speak && !incident.container.id.empty() && followed_.size() < kMaxFollowed) {
    // The kernel log names cgroups by their paths alone.
    const std::uint64_t id =
        incident.cgroup.id != 0 ? incident.cgroup.id : around_.find_path(incident.cgroup.path).cgroup.id;
    followed_.push_back({incident, id, now_ns + kPatienceNs});
  }
}

void Aftermath::collect(std::uint64_t now_ns, bool last, const Sink& sink) {
  if (followed_.empty() || (!last && now_ns - looked_ns_ < kLookNs)) {
    return;
  }
  looked_ns_ = now_ns;
  std::erase_if(followed_, [&](Followed& one) {
    Incident& incident = one.incident;
    auto now = around_.runtime_state(one.cgroup_id);
    if (now && speaks_of_the_end(incident, *now)) {
      incident.update = "runtime_state";
      incident.container.state = std::move(now);
      sink(incident);
      return true;
    }
    return now_ns >= one.until_ns;
  });
}

}  // namespace memcrest
