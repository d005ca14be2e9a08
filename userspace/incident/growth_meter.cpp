// SPDX-License-Identifier: Apache-2.0
#include "incident/growth_meter.h"

#include <algorithm>

namespace memcrest {

void GrowthMeter::make_room() {
  if (told_.size() >= max_cgroups_) {
    told_.clear();
    ++forgotten_;
  }
}

void GrowthMeter::add(const CgroupEvent& event) {
  if (!event.created) {
    told_.erase(event.cgroup_id);
    return;
  }
  const auto found = told_.find(event.cgroup_id);
  if (found != told_.end() && found->second.serial == event.serial) {
    return;  // its first steps have overtaken the news of it
  }
  make_room();
  told_.insert_or_assign(event.cgroup_id, Told{event.serial, event.time_ns, 0});
}

void GrowthMeter::add(const SampleEvent& sample) {
  const auto found = told_.find(sample.cgroup_id);
  if (found == told_.end() || sample.time_ns < found->second.newest_ns) {
    return;
  }
  found->second.newest_ns = sample.time_ns;
  found->second.bytes = std::min(found->second.bytes, sample.usage_bytes);
}

MeteredGrowth GrowthMeter::add(const StepEvent& step) {
  auto found = told_.find(step.cgroup_id);
  if (found == told_.end() || found->second.serial != step.serial) {
    make_room();
    told_.insert_or_assign(step.cgroup_id, Told{step.serial, step.time_ns, step.usage_bytes});
    return {};
  }
  Told& told = found->second;
  const bool late = step.time_ns < told.newest_ns;
  told.newest_ns = std::max(told.newest_ns, step.time_ns);
  if (step.usage_bytes <= told.bytes) {
    told.bytes = !late || step.down ? step.usage_bytes : told.bytes;
    return {};
  }
  const std::uint64_t grown = step.usage_bytes - told.bytes;
  told.bytes = step.usage_bytes;
  return {grown, !step.foreign && step.task.process.tgid != 0,
          step.ancestor ? std::min(grown, step.quantum_bytes) : grown};
}

std::string GrowthMeter::left_out() const {
  return forgotten_ == 0 ? std::string()
                         : "more than " + std::to_string(max_cgroups_) +
                               " cgroups at once: how far each had grown was forgotten " + std::to_string(forgotten_) +
                               (forgotten_ == 1 ? " time" : " times") + ", and what it grew until its next step";
}

}  // namespace memcrest
