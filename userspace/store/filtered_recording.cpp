// SPDX-License-Identifier: Apache-2.0
#include "store/filtered_recording.h"

#include <vector>

namespace memcrest {
namespace {

constexpr std::size_t kMaxKnown = 65536;  // then all are forgotten, and kept until they are named again

}  // namespace

bool FilteredRecording::keeps(std::uint64_t cgroup_id) const {
  const auto found = known_.find(cgroup_id);
  return found == known_.end() || found->second.wanted || above_.contains(found->second.path);
}

void FilteredRecording::add(std::span<const Event> events) {
  const auto left_out = [&](const Event& event) {
    const auto* step = std::get_if<StepEvent>(&event);
    const auto* sample = std::get_if<SampleEvent>(&event);
    return (step != nullptr && !keeps(step->cgroup_id)) || (sample != nullptr && !keeps(sample->cgroup_id));
  };
  // In runs: most batches are kept or left out as a whole.
  for (std::size_t at = 0; at < events.size();) {
    std::size_t end = at;
    while (end < events.size() && !left_out(events[end])) {
      ++end;
    }
    if (end > at) {
      inner_->add(events.subspan(at, end - at));
    }
    at = end + 1;
  }
}

void FilteredRecording::add(std::span<const SampleEvent> samples) {
  std::vector<SampleEvent> kept;
  for (const SampleEvent& one : samples) {
    if (keeps(one.cgroup_id)) {
      kept.push_back(one);
    }
  }
  inner_->add(std::span<const SampleEvent>(kept));
}

void FilteredRecording::add(const Incident& incident, std::string json) {
  if (wanted_(incident.cgroup, incident.container)) {
    inner_->add(incident, std::move(json));
  }
}

bool FilteredRecording::add(const CgroupRef& cgroup, const Container& container) {
  if (known_.size() >= kMaxKnown) {
    known_.clear();
  }
  const bool wanted = wanted_(cgroup, container);
  known_.insert_or_assign(cgroup.id, Known{cgroup.path, wanted});
  if (wanted && above_.size() < kMaxKnown) {
    for (std::size_t slash = cgroup.path.rfind('/'); slash != std::string::npos;
         slash = slash == 0 ? std::string::npos : cgroup.path.rfind('/', slash - 1)) {
      above_.insert(slash == 0 ? "/" : cgroup.path.substr(0, slash));
    }
  }
  // What was recorded of it before keeps its path.
  return inner_->add(cgroup, keeps(cgroup.id) ? container : Container{});
}

}  // namespace memcrest
