// SPDX-License-Identifier: Apache-2.0
#include "incident/stall_history.h"

#include <algorithm>

#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxPoints = 512;
constexpr double kNsPerMillisecond = 1e6;

}  // namespace

StallHistory::StallHistory(std::uint64_t window_ns, std::size_t max_cgroups)
    : window_ns_(window_ns), max_cgroups_(std::max<std::size_t>(max_cgroups, 1)) {}

void StallHistory::note(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t reclaim_ns,
                        std::uint64_t throttle_ns) {
  auto found = cgroups_.find(cgroup_id);
  if (found == cgroups_.end()) {
    if (cgroups_.size() >= max_cgroups_) {
      if (reclaim_ns == 0 && throttle_ns == 0) {
        return;  // most cgroups are never held up
      }
      cgroups_.erase(std::ranges::min_element(
          cgroups_, {}, [](const auto& one) { return one.second.empty() ? 0 : one.second.back().time_ns; }));
    }
    found = cgroups_.emplace(cgroup_id, std::vector<Point>{}).first;
  }
  std::vector<Point>& points = found->second;
  if (!points.empty() && points.back().reclaim_ns == reclaim_ns && points.back().throttle_ns == throttle_ns) {
    points.back().until_ns = std::max(points.back().until_ns, time_ns);
    return;
  }
  points.push_back({time_ns, time_ns, reclaim_ns, throttle_ns});
  while (points.size() > 1 && (points.size() > kMaxPoints || points[1].time_ns + window_ns_ < time_ns)) {
    points.erase(points.begin());
  }
}

ReclaimStall StallHistory::before(std::uint64_t cgroup_id, std::uint64_t time_ns) const {
  ReclaimStall out{.window_ms = static_cast<double>(window_ns_) / kNsPerMillisecond, .direct_ms = 0, .throttle_ms = 0};
  const auto found = cgroups_.find(cgroup_id);
  if (found == cgroups_.end()) {
    return out;
  }
  const std::uint64_t from_ns = saturating_sub(time_ns, window_ns_);
  Point begin{.until_ns = from_ns};
  Point end;
  for (const Point& point : found->second) {
    if (point.time_ns <= from_ns) {
      begin = point;
    }
    if (point.time_ns <= time_ns) {
      end = point;
    }
  }
  if (end.time_ns > begin.time_ns) {
    out.window_ms = static_cast<double>(saturating_sub(time_ns, std::min(begin.until_ns, from_ns))) / kNsPerMillisecond;
  }
  out.direct_ms = static_cast<double>(saturating_sub(end.reclaim_ns, begin.reclaim_ns)) / kNsPerMillisecond;
  out.throttle_ms = static_cast<double>(saturating_sub(end.throttle_ns, begin.throttle_ns)) / kNsPerMillisecond;
  return out;
}

}  // namespace memcrest
